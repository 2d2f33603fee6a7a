/* The reader of archives: whatever the bytes are, every piece of data is inside its file, and how the stream is cut makes no
 * difference. The first bytes say how it is cut. */
#include "clean_name.h"
#include "tar_read.h"

#include <stdlib.h>
#include <string.h>

enum { SEED_BYTES = 2 };

struct tally {
	uint64_t entries, hash;
	bool open, bad;
};

static void require(bool good)
{
	if (!good)
		abort();
}

static void mix(struct tally *tally, const void *data, size_t length)
{
	for (size_t i = 0; i < length; i++)
		tally->hash = tally->hash * 31 + ((const uint8_t *)data)[i];
}

static void check_name(const char *name)
{
	char clean[TAR_PATH_ROOM];
	require(memchr(name, 0, TAR_PATH_ROOM) != NULL);
	clean_name(clean, name);
	require(clean[0] && clean[0] != '/' && strcmp(clean, "..") != 0 && strncmp(clean, "../", 3) != 0);
	require(!strstr(clean, "/../") && !strstr(clean, "//"));
	size_t length = strlen(clean);
	require(length < 3 || strcmp(clean + length - 3, "/..") != 0);
}

static void take_attributes(struct tally *tally, const struct tar_reader *reader)
{
	const char *name, *value;
	size_t at = 0, name_length, value_length;
	while (tar_reader_attribute(reader, &at, &name, &name_length, &value, &value_length)) {
		mix(tally, name, name_length);
		mix(tally, value, value_length);
	}
}

static void take_entry(struct tally *tally, const struct tar_reader *reader)
{
	const struct tar_entry *entry = &reader->entry;
	require(!tally->open && entry->type >= '0' && entry->type <= '6' && entry->mode <= 07777);
	require(entry->mtime.tv_nsec >= 0 && entry->mtime.tv_nsec < 1000000000);
	require(entry->type == '0' || !entry->size);
	check_name(entry->path);
	require(memchr(entry->link, 0, TAR_PATH_ROOM) != NULL);
	tally->open = true;
	tally->entries++;
	mix(tally, entry->path, strlen(entry->path));
	mix(tally, &entry->size, sizeof entry->size);
	take_attributes(tally, reader);
}

static void take(struct tally *tally, const struct tar_reader *reader, const struct tar_event *event)
{
	require(!tally->bad || event->kind == TAR_NOTHING);
	if (event->kind == TAR_ENTRY)
		take_entry(tally, reader);
	if (event->kind == TAR_DATA) {
		require(tally->open && event->length && event->offset + event->length <= reader->entry.size);
		mix(tally, event->data, event->length);
	}
	if (event->kind == TAR_END) {
		require(tally->open);
		tally->open = false;
	}
	if (event->kind == TAR_BAD) {
		require(event->reason && *event->reason);
		tally->bad = true;
		mix(tally, event->reason, strlen(event->reason));
	}
}

static struct tally read_all(const uint8_t *data, size_t size, size_t piece)
{
	static struct tar_reader reader;
	struct tally tally = {0};
	struct tar_event event;
	memset(&reader, 0, sizeof reader);
	for (size_t at = 0; at < size;) {
		size_t length = size - at < piece ? size - at : piece;
		do {
			size_t used = tar_reader_feed(&reader, data + at, length, &event);
			require(used <= length);
			at += used;
			length -= used;
			take(&tally, &reader, &event);
		} while (length || event.kind != TAR_NOTHING);
	}
	mix(&tally, tar_reader_is_whole(&reader) ? "w" : "-", 1);
	return tally;
}

/* Random bytes have no right checksum: it is set where a header could be, so that what lies behind is reached. */
static void set_checksums(uint8_t *data, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		uint8_t *block = data + at;
		unsigned sum = 0;
		if (memcmp(block + TAR_MAGIC, "ustar", 5) != 0)
			continue;
		memset(block + TAR_CHECKSUM, ' ', TAR_CHECKSUM_BYTES);
		for (int i = 0; i < TAR_BLOCK; i++)
			sum += block[i];
		for (int digit = 6; digit-- > 0; sum >>= 3)
			block[TAR_CHECKSUM + digit] = (uint8_t)('0' + (sum & 7));
		block[TAR_CHECKSUM + 6] = 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < SEED_BYTES)
		return 0;
	size_t piece = 1 + (data[0] | (size_t)data[1] << 8) % 3000;
	uint8_t *copy = malloc(size - SEED_BYTES + 1);
	memcpy(copy, data + SEED_BYTES, size - SEED_BYTES);
	set_checksums(copy, size - SEED_BYTES);
	struct tally whole = read_all(copy, size - SEED_BYTES, size);
	struct tally cut = read_all(copy, size - SEED_BYTES, piece);
	require(whole.entries == cut.entries && whole.hash == cut.hash && whole.bad == cut.bad);
	free(copy);
	return 0;
}
