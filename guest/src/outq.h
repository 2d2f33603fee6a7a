/* Frames on their way to the host. Memory is fixed: whoever wants to send asks for room first and tries again later.
 *
 * Three kinds of senders share the room, so that data can never keep an exit status or an answer from being sent:
 * data needs OUTQ_DATA_ROOM, answers need OUTQ_ANSWER_ROOM, events need OUTQ_EVENT_ROOM. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

enum {
	OUTQ_EVENT_ROOM = 512,
	OUTQ_ANSWER_ROOM = FRAME_HEADER + FRAME_MAX_PAYLOAD + OUTQ_EVENT_ROOM,
	OUTQ_DATA_ROOM = 3 * OUTQ_ANSWER_ROOM,
};

bool outq_has_room(size_t needed);
bool outq_is_empty(void);
void outq_clear(void);

/* Where to write a payload (the room asked for must be there), and how long it became. One at a time. */
uint8_t *outq_payload(void);
void outq_commit(uint8_t kind, uint16_t stream, size_t length);

/* An empty or tiny frame in one call. */
void outq_send(uint8_t kind, uint16_t stream, const void *payload, size_t length);

/* Writes what the descriptor takes without waiting. */
void outq_flush(int fd);
