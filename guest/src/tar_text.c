/* What stands before a header of an archive: pax records and long names. Pure. */
#include <string.h>

#include "pax_text.h"
#include "tar_parts.h"

/* What text before a header has said belongs to that header alone. */
void tar_forget_text(struct tar_reader *reader)
{
	memset(&reader->entry, 0, sizeof reader->entry);
	reader->has_path = reader->has_link = reader->has_size = reader->has_uid = reader->has_gid = false;
	reader->has_mtime = reader->has_map = reader->map_follows = reader->is_used = false;
	reader->text_length = 0;
	reader->segment_count = 0;
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
		if (!pax_number(&part, &number) || (is_length && !tar_add_segment(reader, offset, number)))
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
		return tar_add_segment(reader, number, 0);
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
bool tar_use_text(struct tar_reader *reader)
{
	size_t length = strnlen(reader->text, reader->text_length);
	if (reader->text_type == 'x')
		return keep_records(reader);
	reader->text_length = 0; /* no attributes in it */
	if (reader->text_type == 'L')
		return reader->has_path = keep_text(reader->entry.path, reader->text, length);
	if (reader->text_type == 'K')
		return reader->has_link = keep_text(reader->entry.link, reader->text, length);
	return true;
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
