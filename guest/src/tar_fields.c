/* A header of an archive: its numbers, names and checksum. Pure. */
#include <string.h>

#include "tar_parts.h"

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

bool tar_take_unsigned(const uint8_t *field, size_t width, uint64_t limit, uint64_t *out)
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
	if (!tar_take_unsigned(field, width, UINT32_MAX, &value))
		return false;
	*out = (unsigned)value;
	return true;
}

bool tar_is_zero(const uint8_t block[TAR_BLOCK])
{
	for (int i = 0; i < TAR_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

/* Some old writers added up signed characters. */
bool tar_has_right_checksum(const uint8_t block[TAR_BLOCK])
{
	int64_t said, sum = 0, signed_sum = 0;
	for (int i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= TAR_CHECKSUM && i < TAR_CHECKSUM + TAR_CHECKSUM_BYTES;
		sum += own ? ' ' : block[i];
		signed_sum += own ? ' ' : (int8_t)block[i];
	}
	return take_number(block + TAR_CHECKSUM, TAR_CHECKSUM_BYTES, &said) && (said == sum || said == signed_sum);
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

bool tar_take_fields(struct tar_reader *reader)
{
	const uint8_t *block = reader->block;
	struct tar_entry *entry = &reader->entry;
	bool device = entry->type == '3' || entry->type == '4';
	int64_t mtime = 0;
	bool good = take_small(block + TAR_MODE, 8, &entry->mode);
	good = good && (reader->has_uid || take_small(block + TAR_UID, 8, &entry->uid));
	good = good && (reader->has_gid || take_small(block + TAR_GID, 8, &entry->gid));
	good = good && (reader->has_size || tar_take_unsigned(block + TAR_SIZE, 12, INT64_MAX, &reader->stored));
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
char tar_plain_type(const struct tar_reader *reader, char type)
{
	size_t length = strlen(reader->entry.path);
	if (type >= '1' && type <= '6')
		return type;
	return type != 'S' && length && reader->entry.path[length - 1] == '/' ? '5' : '0';
}
