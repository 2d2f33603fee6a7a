/* ninep.c: files of a server. What does not work is said on the serial line. */
#pragma once

#include "kernel.h"

bool ninep_mount(uint32_t server, uint16_t port, const char *user);
/* Says what is in a file, or the names in a directory. */
void ninep_show(const char *path);
/* A file that is there has nothing but `text` then; one that is not is created. */
void ninep_write(const char *path, const char *text);
void ninep_remove(const char *path);
