#include "tar_read.h"

#include <string.h>

#include "pax_text.h"

static void say_bad(struct tar_reader *reader, struct tar_event *event, const char *reason)
{
	reader->state = TAR_IS_OVER;
	event->kind = TAR_BAD;
	event->reason = reason;
}

/* Octal digits between spaces, ended by a space or NUL; or, with the first bit set, a big-endian number of GNU's. */
static bool take_number(const uint8_t *field, size_t width, int64_t *out)
{
	size_t at = 0;
	uint64_t value = 0;
	if (field[0] & 0x80) {
		bool negative = field[0] == 0xff;
		value = negative ? UINT64_MAX : field[0] & 0x7f;
		for (at = 1; at < width; at++) {
			if (!negative && value >> 55)
				return false;
			value = value << 8 | field[at];
		}
		*out = (int64_t)value;
		return negative == (*out < 0);
	}
	while (at < width && field[at] == ' ')
		at++;
	for (; at < width && field[at] >= '0' && field[at] <= '7'; at++)
		value = value << 3 | (uint64_t)(field[at] - '0');
	*out = (int64_t)value;
	return at == width || field[at] == 0 || field[at] == ' ';
}

static bool take_unsigned(const uint8_t *field, size_t width, uint64_t limit, uint64_t *out)
{
	int64_t value;
	if (!take_number(field, width, &value) || value < 0 || (uint64_t)value > limit)
		return false;
	*out = (uint64_t)value;
	return true;
}

static bool take_small(const uint8_t *field, size_t width, unsigned *out)
{
	uint64_t value;
	if (!take_unsigned(field, width, UINT32_MAX, &value))
		return false;
	*out = (unsigned)value;
	return true;
}

static bool is_zero(const uint8_t block[TAR_BLOCK])
{
	for (int i = 0; i < TAR_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

/* Some old writers added up signed characters. */
static bool has_right_checksum(const uint8_t block[TAR_BLOCK])
{
	int64_t said, sum = 0, signed_sum = 0;
	for (int i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= TAR_CHECKSUM && i < TAR_CHECKSUM + TAR_CHECKSUM_BYTES;
		sum += own ? ' ' : block[i];
		signed_sum += own ? ' ' : (int8_t)block[i];
	}
	return take_number(block + TAR_CHECKSUM, TAR_CHECKSUM_BYTES, &said) && (said == sum || said == signed_sum);
}

/* What text before a header has said belongs to that header alone. */
static void forget_text(struct tar_reader *reader)
{
	memset(&reader->entry, 0, sizeof reader->entry);
	reader->has_path = reader->has_link = reader->has_size = reader->has_uid = reader->has_gid = false;
	reader->has_mtime = reader->has_map = reader->map_follows = reader->is_used = false;
	reader->text_length = 0;
	reader->segment_count = 0;
}

static bool add_segment(struct tar_reader *reader, uint64_t offset, uint64_t length)
{
	if (reader->segment_count >= TAR_MAX_SEGMENTS)
		return false;
	reader->segments[reader->segment_count++] = (struct tar_segment){offset, length};
	return true;
}

static bool keep_text(char out[TAR_PATH_ROOM], const char *text, size_t length)
{
	if (!length || length >= TAR_PATH_ROOM || memchr(text, 0, length))
		return false;
	memcpy(out, text, length);
	out[length] = 0;
	return true;
}

/* `OFFSET,LENGTH,OFFSET,LENGTH...` */
static bool keep_map(struct tar_reader *reader, const struct pax_record *record)
{
	struct pax_record part = {.value = record->value};
	const char *end = record->value + record->value_length;
	uint64_t offset = 0, number;
	reader->segment_count = 0;
	for (bool is_length = false; part.value < end; is_length = !is_length) {
		const char *comma = memchr(part.value, ',', (size_t)(end - part.value));
		part.value_length = (size_t)((comma ? comma : end) - part.value);
		if (!pax_number(&part, &number) || (is_length && !add_segment(reader, offset, number)))
			return false;
		offset = number;
		part.value += part.value_length + 1;
	}
	return reader->has_map = true;
}

/* GNU's three ways to say where a sparse file's pieces are; here 0.0, a record for each number. */
static bool keep_segment_number(struct tar_reader *reader, const struct pax_record *record)
{
	uint64_t number;
	if (!pax_number(record, &number))
		return false;
	reader->has_map = true;
	if (pax_is(record, "GNU.sparse.offset"))
		return add_segment(reader, number, 0);
	if (!reader->segment_count)
		return false;
	reader->segments[reader->segment_count - 1].length = number;
	return true;
}

static bool keep_sparse_record(struct tar_reader *reader, const struct pax_record *record)
{
	struct tar_entry *entry = &reader->entry;
	if (pax_is(record, "GNU.sparse.major")) {
		reader->map_follows = record->value_length == 1 && record->value[0] == '1';
		return reader->map_follows || (record->value_length == 1 && record->value[0] == '0');
	}
	if (pax_is(record, "GNU.sparse.name"))
		return reader->has_path = keep_text(entry->path, record->value, record->value_length);
	if (pax_is(record, "GNU.sparse.realsize") || pax_is(record, "GNU.sparse.size"))
		return pax_number(record, &entry->size);
	if (pax_is(record, "GNU.sparse.map"))
		return keep_map(reader, record);
	if (pax_is(record, "GNU.sparse.offset") || pax_is(record, "GNU.sparse.numbytes"))
		return keep_segment_number(reader, record);
	return true;
}

static bool keep_id(const struct pax_record *record, bool *has, unsigned *out)
{
	uint64_t number;
	if (!pax_number(record, &number) || number > UINT32_MAX)
		return false;
	*out = (unsigned)number;
	return *has = true;
}

static bool keep_record(struct tar_reader *reader, const struct pax_record *record)
{
	struct tar_entry *entry = &reader->entry;
	if (record->key_length > 11 && !memcmp(record->key, "GNU.sparse.", 11))
		return keep_sparse_record(reader, record);
	if (pax_is(record, "path")) /* a sparse file's true name stands before its made-up one or behind it */
		return reader->map_follows || (reader->has_path = keep_text(entry->path, record->value, record->value_length));
	if (pax_is(record, "linkpath"))
		return reader->has_link = keep_text(entry->link, record->value, record->value_length);
	if (pax_is(record, "size"))
		return reader->has_size = pax_number(record, &reader->stored);
	if (pax_is(record, "uid"))
		return keep_id(record, &reader->has_uid, &entry->uid);
	if (pax_is(record, "gid"))
		return keep_id(record, &reader->has_gid, &entry->gid);
	if (pax_is(record, "mtime"))
		return reader->has_mtime = pax_time(record, &entry->mtime);
	return true;
}

static bool keep_records(struct tar_reader *reader)
{
	struct pax_record record;
	for (size_t at = 0; at < reader->text_length;)
		if (!pax_next(reader->text, reader->text_length, &at, &record) || !keep_record(reader, &record))
			return false;
	return true;
}

/* Records for all that follows ('g') are passed over: those who write them (git) say nothing there that makes a file. */
static void use_text(struct tar_reader *reader, struct tar_event *event)
{
	size_t length = strnlen(reader->text, reader->text_length);
	bool good = true;
	if (reader->text_type == 'x')
		good = keep_records(reader);
	else if (reader->text_type == 'L')
		good = reader->has_path = keep_text(reader->entry.path, reader->text, length);
	else if (reader->text_type == 'K')
		good = reader->has_link = keep_text(reader->entry.link, reader->text, length);
	if (reader->text_type != 'x')
		reader->text_length = 0; /* no attributes in it */
	if (!good)
		say_bad(reader, event, "a malformed extended header");
}

static void begin_text(struct tar_reader *reader, struct tar_event *event, char type)
{
	uint64_t size;
	if (!take_unsigned(reader->block + TAR_SIZE, 12, TAR_MAX_PAX, &size)) {
		say_bad(reader, event, "an extended header that is too long");
		return;
	}
	reader->text_type = type;
	reader->text_have = 0;
	reader->text_length = (size_t)size;
	reader->left = size + tar_padding(size);
	reader->state = TAR_AT_TEXT;
}

static bool is_ustar(const uint8_t block[TAR_BLOCK])
{
	return !memcmp(block + TAR_MAGIC, "ustar", 6);
}

static bool take_name(struct tar_reader *reader)
{
	const char *name = (const char *)reader->block + TAR_NAME, *prefix = (const char *)reader->block + TAR_PREFIX;
	size_t name_length = strnlen(name, TAR_NAME_BYTES);
	size_t prefix_length = is_ustar(reader->block) ? strnlen(prefix, TAR_PREFIX_BYTES) : 0;
	char *out = reader->entry.path;
	memcpy(out, prefix, prefix_length);
	if (prefix_length)
		out[prefix_length++] = '/';
	memcpy(out + prefix_length, name, name_length);
	out[prefix_length + name_length] = 0;
	return prefix_length + name_length > 0;
}

static bool take_fields(struct tar_reader *reader)
{
	const uint8_t *block = reader->block;
	struct tar_entry *entry = &reader->entry;
	bool device = entry->type == '3' || entry->type == '4';
	int64_t mtime = 0;
	bool good = take_small(block + TAR_MODE, 8, &entry->mode);
	good = good && (reader->has_uid || take_small(block + TAR_UID, 8, &entry->uid));
	good = good && (reader->has_gid || take_small(block + TAR_GID, 8, &entry->gid));
	good = good && (reader->has_size || take_unsigned(block + TAR_SIZE, 12, INT64_MAX, &reader->stored));
	good = good && (!device || take_small(block + TAR_MAJOR, 8, &entry->major));
	good = good && (!device || take_small(block + TAR_MINOR, 8, &entry->minor));
	good = good && (reader->has_mtime || take_number(block + TAR_MTIME, 12, &mtime));
	if (!reader->has_mtime)
		entry->mtime = (struct timespec){.tv_sec = (time_t)mtime};
	entry->mode &= 07777;
	if (!reader->has_link)
		memcpy(entry->link, block + TAR_LINK, TAR_NAME_BYTES); /* the rest is zero */
	return good && (reader->has_path || take_name(reader));
}

/* '7' is a file by another name, and so is what nobody knows; old writers tell a folder by the `/` at its end. */
static char plain_type(const struct tar_reader *reader, char type)
{
	size_t length = strlen(reader->entry.path);
	if (type >= '1' && type <= '6')
		return type;
	return type != 'S' && length && reader->entry.path[length - 1] == '/' ? '5' : '0';
}

static bool map_is_whole(const struct tar_reader *reader)
{
	uint64_t end = 0, sum = 0;
	for (size_t i = 0; i < reader->segment_count; i++) {
		struct tar_segment segment = reader->segments[i];
		if (segment.offset < end || segment.offset > reader->entry.size ||
		    segment.length > reader->entry.size - segment.offset)
			return false;
		end = segment.offset + segment.length;
		sum += segment.length;
	}
	return sum == reader->left;
}

/* `left` is what of the entry still comes, without the padding. */
static void begin_data(struct tar_reader *reader, struct tar_event *event)
{
	if (!map_is_whole(reader)) {
		say_bad(reader, event, "a sparse file whose map is wrong");
		return;
	}
	reader->segment_at = 0;
	reader->segment_done = 0;
	reader->state = TAR_AT_DATA;
	reader->in_entry = true;
	event->kind = TAR_ENTRY;
}

static void begin_map(struct tar_reader *reader)
{
	reader->map_number = reader->map_wanted = reader->map_taken = 0;
	reader->map_in_number = false;
	reader->segment_count = 0;
	reader->state = TAR_AT_MAP;
}

static bool take_gnu_segments(struct tar_reader *reader, const uint8_t *at, int count)
{
	uint64_t offset, length;
	for (; count-- > 0 && at[0]; at += TAR_SEGMENT_BYTES) {
		if (!take_unsigned(at, 12, INT64_MAX, &offset) || !take_unsigned(at + 12, 12, INT64_MAX, &length))
			return false;
		if (!add_segment(reader, offset, length))
			return false;
	}
	return true;
}

static void begin_gnu_sparse(struct tar_reader *reader, struct tar_event *event)
{
	const uint8_t *block = reader->block;
	reader->segment_count = 0;
	if (!take_unsigned(block + TAR_GNU_REAL_SIZE, 12, INT64_MAX, &reader->entry.size) ||
	    !take_gnu_segments(reader, block + TAR_GNU_SPARSE, 4))
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
		begin_map(reader);
	} else if (entry->type == '0' && reader->has_map) {
		begin_data(reader, event);
	} else {
		entry->size = entry->type == '0' ? reader->stored : 0;
		reader->left = reader->stored = entry->size;
		reader->segment_count = 0;
		add_segment(reader, 0, entry->size);
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
		forget_text(reader);
	if (is_zero(reader->block)) {
		reader->state = TAR_IS_OVER;
		event->kind = TAR_FINISHED;
		return;
	}
	if (!has_right_checksum(reader->block)) {
		say_bad(reader, event, "a header whose checksum is wrong");
		return;
	}
	if (type == 'x' || type == 'g' || type == 'L' || type == 'K') {
		begin_text(reader, event, type);
		return;
	}
	reader->entry.type = type;
	if (!take_fields(reader)) {
		say_bad(reader, event, "a malformed header");
		return;
	}
	reader->entry.type = plain_type(reader, type);
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
	if (!take_gnu_segments(reader, reader->block, TAR_EXTENSION_SEGMENTS))
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
		use_text(reader, event);
	}
	return count;
}

/* One number of the map: first how many pieces, then offset and length of each. */
static bool take_map_number(struct tar_reader *reader)
{
	uint64_t number = reader->map_number;
	reader->map_number = 0;
	if (!reader->map_taken++) {
		reader->map_wanted = 2 * number + 1;
		return number <= TAR_MAX_SEGMENTS;
	}
	if (reader->map_taken % 2 == 0)
		return add_segment(reader, number, 0);
	reader->segments[reader->segment_count - 1].length = number;
	return true;
}

/* A number may go on in the next block. */
static bool take_map_block(struct tar_reader *reader)
{
	for (int i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = reader->block[i];
		if (reader->map_taken && reader->map_taken == reader->map_wanted)
			return true;
		if (c >= '0' && c <= '9' && reader->map_number < INT64_MAX / 10 - 1) {
			reader->map_number = reader->map_number * 10 + (uint64_t)(c - '0');
			reader->map_in_number = true;
			continue;
		}
		if (c != '\n' || !reader->map_in_number || !take_map_number(reader))
			return false;
		reader->map_in_number = false;
	}
	return true;
}

static size_t step_map(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event)
{
	bool complete;
	size_t used = collect_block(reader, data, length, &complete);
	if (!complete)
		return used;
	if (reader->left < TAR_BLOCK || !take_map_block(reader)) {
		say_bad(reader, event, "a malformed map of a sparse file");
		return used;
	}
	reader->left -= TAR_BLOCK;
	if (reader->map_taken && reader->map_taken == reader->map_wanted)
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

bool tar_reader_attribute(const struct tar_reader *reader, size_t *at, const char **name, size_t *name_length,
			  const char **value, size_t *value_length)
{
	static const char prefix[] = "SCHILY.xattr.";
	struct pax_record record;
	while (*at < reader->text_length && pax_next(reader->text, reader->text_length, at, &record)) {
		if (record.key_length < sizeof prefix || memcmp(record.key, prefix, sizeof prefix - 1) != 0)
			continue;
		*name = record.key + sizeof prefix - 1;
		*name_length = record.key_length - (sizeof prefix - 1);
		*value = record.value;
		*value_length = record.value_length;
		return true;
	}
	return false;
}
