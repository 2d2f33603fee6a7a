/* What the host has sent for a process's standard input and the process has not read yet: a ring of one window. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stdinq {
	uint8_t *bytes; /* NULL: the process has no standard input; everything is thrown away */
	size_t head, have;
	uint32_t taken; /* bytes that left the ring and that the host has not been told of */
	bool ends;      /* nothing follows what is in the ring */
};

/* False: no memory. */
bool stdinq_open(struct stdinq *queue);
void stdinq_close(struct stdinq *queue);

/* False: the peer sent more than it may. */
bool stdinq_push(struct stdinq *queue, const uint8_t *data, size_t length);

/* Moves bytes to the descriptor without waiting. False: nobody reads there any more. */
bool stdinq_pour(struct stdinq *queue, int fd);

/* The credit to hand back now, or 0 while it is too little to be worth a frame. */
uint32_t stdinq_take_credit(struct stdinq *queue);
