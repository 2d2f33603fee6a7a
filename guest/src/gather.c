#include "gather.h"

#include <string.h>

#include "bytes.h"

enum { PIECE_HEAD = 8, MOST = BECOME_HEAD + CONFIG_MAX_BYTES };

static bool add(struct gathering *gathering, const uint8_t *piece, size_t length, size_t at, size_t total)
{
	size_t have = at ? gathering->have : 0;
	gathering->have = 0;
	if (at != have || total <= BECOME_HEAD || total > MOST || length > total - have)
		return false;
	memcpy(gathering->bytes + have, piece, length);
	gathering->have = have + length;
	return true;
}

/* A frame that was cut off by a lost connection and completed with padding has zeros in its text. */
static bool is_whole(const struct gathering *gathering, const struct told *told)
{
	return told->wall_ns <= INT64_MAX && !memchr(gathering->bytes + BECOME_HEAD, 0, told->length);
}

bool gather(struct gathering *gathering, const uint8_t *payload, size_t length, struct told *told)
{
	if (length <= PIECE_HEAD) {
		gathering->have = 0;
		return false;
	}
	size_t at = get_u32(payload), total = get_u32(payload + 4);
	if (!add(gathering, payload + PIECE_HEAD, length - PIECE_HEAD, at, total) || gathering->have < total)
		return false;
	gathering->have = 0;
	*told = (struct told){.id = gathering->bytes,
			      .seed = gathering->bytes + BECOME_ID,
			      .wall_ns = get_u64(gathering->bytes + BECOME_ID + BECOME_SEED),
			      .text = (char *)gathering->bytes + BECOME_HEAD,
			      .length = total - BECOME_HEAD};
	return is_whole(gathering, told);
}
