/* The frame parser: the stream is cut as the first bytes say, and the result must not depend on how. */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

enum { SEED_BYTES = 2 };

struct tally {
	uint64_t frames, hash;
};

static void count(struct tally *tally, const struct frame *frame)
{
	if (frame->length > FRAME_MAX_PAYLOAD)
		abort();
	tally->frames++;
	tally->hash = tally->hash * 31 + frame->kind;
	tally->hash = tally->hash * 31 + frame->stream;
	for (uint32_t i = 0; i < frame->length; i++)
		tally->hash = tally->hash * 31 + frame->payload[i];
}

static struct tally parse(const uint8_t *data, size_t size, size_t piece)
{
	static struct frame_parser parser;
	struct tally tally = {0};
	memset(&parser, 0, sizeof parser);
	for (size_t at = 0; at < size;) {
		struct frame frame;
		bool complete;
		size_t length = size - at < piece ? size - at : piece;
		size_t used = frame_parser_feed(&parser, data + at, length, &frame, &complete);
		if (!used || used > length || parser.have > sizeof parser.bytes)
			abort();
		if (complete)
			count(&tally, &frame);
		at += used;
	}
	return tally;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < SEED_BYTES)
		return 0;
	size_t piece = 1 + (data[0] | (size_t)data[1] << 8) % 9000;
	struct tally whole = parse(data + SEED_BYTES, size - SEED_BYTES, size);
	struct tally cut = parse(data + SEED_BYTES, size - SEED_BYTES, piece);
	if (whole.frames != cut.frames || whole.hash != cut.hash)
		abort();
	return 0;
}
