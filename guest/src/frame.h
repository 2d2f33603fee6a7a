/* Frames of the agent's protocol on a byte stream. Pure: no input or output, no allocation. See docs/agent-protocol.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_MAGIC = 'W',
	FRAME_HEADER = 8,
	FRAME_MAX_PAYLOAD = 8192,
};

enum kind {
	KIND_HELLO = 1,
	KIND_READY = 2,
	KIND_EXEC = 3,
	KIND_STARTED = 4,
	KIND_STDIN = 5,
	KIND_STDOUT = 6,
	KIND_STDERR = 7,
	KIND_EOF = 8,
	KIND_WINDOW = 9,
	KIND_RESIZE = 10,
	KIND_SIGNAL = 11,
	KIND_EXIT = 12,
	KIND_ERROR = 13,
	KIND_SHUTDOWN = 14,
	KIND_TIME = 15,
	KIND_FACTS = 16,
	KIND_PING = 17,
	KIND_PONG = 18,
	KIND_ENTRY = 19,
	KIND_OOM = 20,
	KIND_COMMIT = 21,
	KIND_COMMITTED = 22,
	KIND_REASON = 23,
	KIND_EVENT = 24,
	KIND_BECOME = 25,
	KIND_FREEZE = 26,
	KIND_THAW = 27,
	KIND_REHEARSE = 28,
};

struct frame {
	uint8_t kind;
	uint16_t stream;
	uint32_t length;
	uint8_t *payload;
};

struct frame_parser {
	uint8_t bytes[FRAME_HEADER + FRAME_MAX_PAYLOAD];
	size_t have;
	uint64_t skipped; /* bytes other than padding that belonged to no frame */
};

void frame_parser_reset(struct frame_parser *parser);

/* Takes bytes up to the end of one frame and returns how many; *complete says whether *frame is filled. The payload is
 * valid until the next call. */
size_t frame_parser_feed(struct frame_parser *parser, const uint8_t *data, size_t length, struct frame *frame,
			 bool *complete);

/* Writes the 8 bytes of a header. */
void frame_header(uint8_t *out, uint8_t kind, uint16_t stream, uint32_t length);
