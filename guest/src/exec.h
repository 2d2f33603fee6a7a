/* Processes the host runs in the machine, one per stream. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pollset.h"
#include "proto.h"

/* `env` is the machine's environment; it must outlive everything. */
void exec_set_environment(char *const *env);

/* 0, or an errno: EEXIST stream in use, EBUSY no stream left, or why no process could be made. */
int exec_start(uint16_t stream, const struct exec_request *request);

/* These ignore streams that do not exist: the process may have ended while the frame was on its way. */
void exec_stdin(uint16_t stream, const uint8_t *data, size_t length);
void exec_eof(uint16_t stream);
void exec_window(uint16_t stream, uint32_t credit);
void exec_resize(uint16_t stream, uint16_t rows, uint16_t cols);
void exec_signal(uint16_t stream, int number);

/* The connection they belong to is gone: kills them all and forgets them. */
void exec_end_all(void);

void exec_child_ended(pid_t pid, int status);
void exec_poll(struct pollset *set);
void exec_step(void);
