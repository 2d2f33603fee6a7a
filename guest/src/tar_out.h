/* Standard output, in large pieces. Ends the process when nobody reads it any more: there is nothing left to do then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void out_put(const void *data, size_t length);
void out_put_zeros(uint64_t count);

/* Bytes of a file. What it lacks, because it has shrunk or cannot be read, is zero, and false is returned with errno. */
bool out_put_file(int fd, uint64_t offset, uint64_t length);
void out_flush(void);
