/* The two ends of what connects a process to its stream: pipes or a terminal, and the report of its start. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* -1: closed. The three of a process may share a terminal; ours never wait, the process's are its own affair. */
struct ends {
	int in, out, err;
	int report; /* closes by itself when the program runs, else says why it does not */
};

#define ENDS_CLOSED ((struct ends){-1, -1, -1, -1})

/* False: errno says why; what was opened until then is left to ends_close. Without stdin the process gets /dev/null. */
bool ends_open_pipes(struct ends *ours, struct ends *far, bool want_stdin);
bool ends_open_nothing(struct ends *ours, struct ends *far);
bool ends_open_terminal(struct ends *ours, struct ends *far, uint16_t rows, uint16_t cols);

void end_close(int *fd);
void ends_close(struct ends *ends);
void terminal_set_size(int fd, uint16_t rows, uint16_t cols);
