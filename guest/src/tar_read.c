#include "tar_read.h"

#include <string.h>

#include "tar_parts.h"

static void say_bad(struct tar_reader *reader, struct tar_event *event, const char *reason)
{
	reader->state = TAR_IS_OVER;
	event->kind = TAR_BAD;
	event->reason = reason;
}

static void begin_text(struct tar_reader *reader, struct tar_event *event, char type)
{
	uint64_t size;
	if (!tar_take_unsigned(reader->block + TAR_SIZE, 12, TAR_MAX_PAX, &size)) {
		say_bad(reader, event, "an extended header that is too long");
		return;
	}
	reader->text_type = type;
	reader->text_have = 0;
	reader->text_length = (size_t)size;
	reader->left = size + tar_padding(size);
	reader->state = TAR_AT_TEXT;
}

/* `left` is what of the entry still comes, without the padding. */
static void begin_data(struct tar_reader *reader, struct tar_event *event)
{
	if (!tar_map_is_whole(reader)) {
		say_bad(reader, event, "a sparse file whose map is wrong");
		return;
	}
	reader->segment_at = 0;
	reader->segment_done = 0;
	reader->state = TAR_AT_DATA;
	reader->in_entry = true;
	event->kind = TAR_ENTRY;
}

static void begin_gnu_sparse(struct tar_reader *reader, struct tar_event *event)
{
	const uint8_t *block = reader->block;
	reader->segment_count = 0;
	if (!tar_take_unsigned(block + TAR_GNU_REAL_SIZE, 12, INT64_MAX, &reader->entry.size) ||
	    !tar_take_gnu_segments(reader, block + TAR_GNU_SPARSE, 4))
		say_bad(reader, event, "a malformed sparse header");
	else if (block[TAR_GNU_EXTENDED])
		reader->state = TAR_AT_EXTENSION;
	else
		begin_data(reader, event);
}

static void begin_entry(struct tar_reader *reader, struct tar_event *event, char type)
{
	struct tar_entry *entry = &reader->entry;
	reader->left = reader->stored;
	if (type == 'S') {
		begin_gnu_sparse(reader, event);
	} else if (entry->type == '0' && reader->map_follows) {
		tar_begin_map(reader);
	} else if (entry->type == '0' && reader->has_map) {
		begin_data(reader, event);
	} else {
		entry->size = entry->type == '0' ? reader->stored : 0;
		reader->left = reader->stored = entry->size;
		reader->segment_count = 0;
		tar_add_segment(reader, 0, entry->size);
		begin_data(reader, event);
	}
}

/* Labels of volumes, pieces of files of other volumes, lists of names: GNU's, and no files. */
static bool is_no_file(char type)
{
	return type == 'V' || type == 'M' || type == 'D' || type == 'N';
}

static void take_header(struct tar_reader *reader, struct tar_event *event)
{
	char type = (char)reader->block[TAR_TYPE];
	if (reader->is_used)
		tar_forget_text(reader);
	if (tar_is_zero(reader->block)) {
		reader->state = TAR_IS_OVER;
		event->kind = TAR_FINISHED;
		return;
	}
	if (!tar_has_right_checksum(reader->block)) {
		say_bad(reader, event, "a header whose checksum is wrong");
		return;
	}
	if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
		begin_text(reader, event, type);
		return;
	}
	reader->entry.type = type;
	if (!tar_take_fields(reader)) {
		say_bad(reader, event, "a malformed header");
		return;
	}
	reader->entry.type = tar_plain_type(reader, type);
	if (is_no_file(type)) {
		reader->left = reader->stored;
		reader->state = TAR_AT_SKIP;
	} else {
		begin_entry(reader, event, type);
	}
}

/* A whole block in reader->block, and how many bytes it took. */
static size_t collect_block(struct tar_reader *reader, const uint8_t *data, size_t length, bool *complete)
{
	size_t want = TAR_BLOCK - reader->have, count = want < length ? want : length;
	memcpy(reader->block + reader->have, data, count);
	reader->have += count;
	*complete = reader->have == TAR_BLOCK;
	if (*complete)
		reader->have = 0;
	return count;
}

static size_t step_header(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	bool complete;
	size_t used = collect_block(reader, data, length, &complete);
	if (complete)
		take_header(reader, event);
	return used;
}

static size_t step_extension(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	bool complete;
	size_t used = collect_block(reader, data, length, &complete);
	if (!complete)
		return used;
	if (!tar_take_gnu_segments(reader, reader->block, TAR_EXTENSION_SEGMENTS))
		say_bad(reader, event, "a malformed sparse header");
	else if (!reader->block[TAR_EXTENSION_SEGMENTS * TAR_SEGMENT_BYTES])
		begin_data(reader, event);
	return used;
}

static size_t step_text(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	size_t count = reader->left < length ? (size_t)reader->left : length;
	size_t wanted = reader->text_length - reader->text_have, kept = wanted < count ? wanted : count;
	memcpy(reader->text + reader->text_have, data, kept);
	reader->text_have += kept;
	reader->left -= count;
	if (!reader->left) {
		reader->text[reader->text_length] = 0;
		reader->state = TAR_AT_HEADER;
		if (!tar_use_text(reader))
			say_bad(reader, event, "a malformed extended header");
	}
	return count;
}

static size_t step_map(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	bool complete;
	size_t used = collect_block(reader, data, length, &complete);
	if (!complete)
		return used;
	if (reader->left < TAR_BLOCK || !tar_take_map_block(reader)) {
		say_bad(reader, event, "a malformed map of a sparse file");
		return used;
	}
	reader->left -= TAR_BLOCK;
	if (tar_map_is_done(reader))
		begin_data(reader, event);
	return used;
}

static void begin_padding(struct tar_reader *reader)
{
	reader->left = tar_padding(reader->stored);
	reader->state = TAR_AT_PADDING;
}

static size_t step_data(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	const struct tar_segment *segment = &reader->segments[reader->segment_at];
	if (reader->segment_at == reader->segment_count) {
		begin_padding(reader);
		return 0;
	}
	uint64_t left = segment->length - reader->segment_done;
	size_t count = left < length ? (size_t)left : length;
	if (count)
		*event = (struct tar_event){.kind = TAR_DATA,
					    .data = data,
					    .length = count,
					    .offset = segment->offset + reader->segment_done};
	reader->segment_done += count;
	if (reader->segment_done == segment->length) {
		reader->segment_at++;
		reader->segment_done = 0;
	}
	return count;
}

static size_t step_padding(struct tar_reader *reader, size_t length, struct tar_event *event)
{
	size_t count = reader->left < length ? (size_t)reader->left : length;
	reader->left -= count;
	if (!reader->left) {
		event->kind = reader->in_entry ? TAR_END : TAR_NOTHING;
		reader->in_entry = false;
		reader->is_used = true;
		reader->state = TAR_AT_HEADER;
	}
	return count;
}

static size_t step_skip(struct tar_reader *reader, size_t length)
{
	size_t count = reader->left < length ? (size_t)reader->left : length;
	reader->left -= count;
	if (!reader->left)
		begin_padding(reader); /* of what is no file */
	return count;
}

static size_t step(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	switch (reader->state) {
	case TAR_AT_HEADER:
		return step_header(reader, data, length, event);
	case TAR_AT_TEXT:
		return step_text(reader, data, length, event);
	case TAR_AT_EXTENSION:
		return step_extension(reader, data, length, event);
	case TAR_AT_MAP:
		return step_map(reader, data, length, event);
	case TAR_AT_DATA:
		return step_data(reader, data, length, event);
	case TAR_AT_PADDING:
		return step_padding(reader, length, event);
	case TAR_AT_SKIP:
		return step_skip(reader, length);
	default:
		return length;
	}
}

/* What needs no further byte is done at once: the end of an empty file must not wait for what follows. */
static bool can_go_on(const struct tar_reader *reader)
{
	bool no_data = reader->state == TAR_AT_DATA && (reader->segment_at == reader->segment_count ||
							  !reader->segments[reader->segment_at].length);
	return no_data || (reader->state == TAR_AT_PADDING && !reader->left);
}

size_t tar_reader_feed(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	size_t used = 0;
	*event = (struct tar_event){.kind = TAR_NOTHING};
	while (event->kind == TAR_NOTHING && (used < length || can_go_on(reader)))
		used += step(reader, data + used, length - used, event);
	return used;
}

bool tar_reader_is_whole(const struct tar_reader *reader)
{
	return reader->state == TAR_IS_OVER || (reader->state == TAR_AT_HEADER && !reader->have);
}
