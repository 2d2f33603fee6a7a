#include "frame.h"

#include <string.h>

#include "bytes.h"

void frame_parser_reset(struct frame_parser *parser)
{
	parser->have = 0;
}

/* Drops bytes until one that can begin a frame is first. */
static void skip_to_magic(struct frame_parser *parser)
{
	size_t skip = 0;
	while (skip < parser->have && parser->bytes[skip] != FRAME_MAGIC)
		parser->skipped += parser->bytes[skip++] != 0;
	parser->have -= skip;
	memmove(parser->bytes, parser->bytes + skip, parser->have);
}

static uint32_t payload_length(const struct frame_parser *parser)
{
	return get_u32(parser->bytes + 4);
}

/* How many bytes the frame still lacks, as far as is known; 0: it is complete. */
static size_t missing(const struct frame_parser *parser)
{
	if (parser->have < FRAME_HEADER)
		return FRAME_HEADER - parser->have;
	return FRAME_HEADER + payload_length(parser) - parser->have;
}

/* The magic byte of an impossible header was somebody's data: a true one may be among the bytes behind it. */
static void refuse_long_payloads(struct frame_parser *parser)
{
	while (parser->have >= FRAME_HEADER && payload_length(parser) > FRAME_MAX_PAYLOAD) {
		parser->bytes[0] = 0;
		parser->skipped++;
		skip_to_magic(parser);
	}
}

static size_t take(struct frame_parser *parser, const uint8_t *data, size_t length)
{
	if (parser->have == 0) {
		const uint8_t *magic = memchr(data, FRAME_MAGIC, length);
		size_t skip = magic ? (size_t)(magic - data) : length;
		for (size_t i = 0; i < skip; i++)
			parser->skipped += data[i] != 0;
		if (skip)
			return skip;
	}
	size_t count = missing(parser) < length ? missing(parser) : length;
	memcpy(parser->bytes + parser->have, data, count);
	parser->have += count;
	refuse_long_payloads(parser);
	return count;
}

size_t frame_parser_feed(struct frame_parser *parser, const uint8_t *data, size_t length, struct frame *frame,
			 bool *complete)
{
	size_t used = 0;
	*complete = false;
	while (used < length && !*complete) {
		used += take(parser, data + used, length - used);
		*complete = parser->have >= FRAME_HEADER && missing(parser) == 0;
	}
	if (!*complete)
		return used;
	frame->kind = parser->bytes[1];
	frame->stream = get_u16(parser->bytes + 2);
	frame->length = payload_length(parser);
	frame->payload = parser->bytes + FRAME_HEADER;
	parser->have = 0;
	return used;
}

void frame_header(uint8_t *out, uint8_t kind, uint16_t stream, uint32_t length)
{
	out[0] = FRAME_MAGIC;
	out[1] = kind;
	put_u16(out + 2, stream);
	put_u32(out + 4, length);
}
