/* The pieces of a BECOME, put together. Pure: no input or output, no allocation. See docs/agent-protocol.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

enum { BECOME_ID = 16, BECOME_SEED = 32, BECOME_HEAD = BECOME_ID + BECOME_SEED + 8 };

struct gathering {
	uint8_t bytes[BECOME_HEAD + CONFIG_MAX_BYTES + 1]; /* one more than is gathered: the text's parser writes there */
	size_t have;
};

/* Points into the bytes that were gathered. */
struct told {
	const uint8_t *id;
	uint8_t *seed;
	uint64_t wall_ns;
	char *text;
	size_t length;
};

/* Takes one payload. True: it was the last, and *told is filled. What does not fit begins anew, and is nothing. */
bool gather(struct gathering *gathering, const uint8_t *payload, size_t length, struct told *told);
