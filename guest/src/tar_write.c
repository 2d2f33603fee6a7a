#include "tar_write.h"

#include <stdio.h>
#include <string.h>

static const uint64_t most_in_7_digits = 07777777, most_in_11_digits = 077777777777;

static int count_digits(size_t number)
{
	int digits = 1;
	for (; number >= 10; number /= 10)
		digits++;
	return digits;
}

/* `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
bool pax_add(struct pax *pax, const char *key, const void *value, size_t length)
{
	size_t rest = strlen(key) + length + 3;
	size_t total = rest + (size_t)count_digits(rest);
	total = rest + (size_t)count_digits(total);
	if (total >= sizeof pax->bytes - pax->length)
		return false;
	char *at = pax->bytes + pax->length;
	at += sprintf(at, "%zu %s=", total, key);
	memcpy(at, value, length);
	at[length] = '\n';
	pax->length += total;
	return true;
}

static bool add_text(struct pax *pax, const char *key, const char *text)
{
	return pax_add(pax, key, text, strlen(text));
}

static bool add_number(struct pax *pax, const char *key, uint64_t number)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	return add_text(pax, key, text);
}

static bool add_time(struct pax *pax, const struct timespec *time)
{
	char text[48];
	long long seconds = time->tv_sec;
	bool before = seconds < 0 && time->tv_nsec; /* -0.25 is second -1 and 750 million nanoseconds */
	long nanoseconds = before ? 1000000000 - time->tv_nsec : time->tv_nsec;
	seconds += before;
	snprintf(text, sizeof text, "%s%lld.%09ld", before && !seconds ? "-" : "", seconds, nanoseconds);
	return add_text(pax, "mtime", text);
}

bool pax_add_item(struct pax *pax, const struct tar_item *item)
{
	bool fits = true;
	if (item->sparse) {
		fits = add_text(pax, "GNU.sparse.major", "1") && add_text(pax, "GNU.sparse.minor", "0") &&
		       add_text(pax, "GNU.sparse.name", item->path) && add_number(pax, "GNU.sparse.realsize", item->extent);
	} else if (strlen(item->path) > TAR_NAME_BYTES) {
		fits = add_text(pax, "path", item->path);
	}
	if (strlen(item->link) > TAR_NAME_BYTES)
		fits = fits && add_text(pax, "linkpath", item->link);
	if (item->size > most_in_11_digits)
		fits = fits && add_number(pax, "size", item->size);
	if (item->uid > most_in_7_digits)
		fits = fits && add_number(pax, "uid", item->uid);
	if (item->gid > most_in_7_digits)
		fits = fits && add_number(pax, "gid", item->gid);
	if (item->mtime.tv_nsec || item->mtime.tv_sec < 0 || (uint64_t)item->mtime.tv_sec > most_in_11_digits)
		fits = fits && add_time(pax, &item->mtime);
	return fits;
}

/* What does not fit is in a pax record, which goes over it. */
static void put_octal(uint8_t *at, int digits, uint64_t number)
{
	at[digits] = 0;
	for (; digits-- > 0; number >>= 3)
		at[digits] = (uint8_t)('0' + (number & 7));
}

static void put_checksum(uint8_t block[TAR_BLOCK])
{
	unsigned sum = 0;
	memset(block + TAR_CHECKSUM, ' ', TAR_CHECKSUM_BYTES);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	put_octal(block + TAR_CHECKSUM, 6, sum);
}

static void put_text(uint8_t *at, const char *text)
{
	memcpy(at, text, strnlen(text, TAR_NAME_BYTES));
}

static void write_block(uint8_t block[TAR_BLOCK], const struct tar_item *item)
{
	memset(block, 0, TAR_BLOCK);
	put_text(block + TAR_NAME, item->path);
	put_octal(block + TAR_MODE, 7, item->mode);
	put_octal(block + TAR_UID, 7, item->uid > most_in_7_digits ? 0 : item->uid);
	put_octal(block + TAR_GID, 7, item->gid > most_in_7_digits ? 0 : item->gid);
	put_octal(block + TAR_SIZE, 11, item->size > most_in_11_digits ? 0 : item->size);
	put_octal(block + TAR_MTIME, 11, item->mtime.tv_sec < 0 ? 0 : (uint64_t)item->mtime.tv_sec);
	block[TAR_TYPE] = (uint8_t)item->type;
	put_text(block + TAR_LINK, item->link);
	memcpy(block + TAR_MAGIC, "ustar\0" "00", 8);
	if (item->type == '3' || item->type == '4') {
		put_octal(block + TAR_MAJOR, 7, item->major);
		put_octal(block + TAR_MINOR, 7, item->minor);
	}
	put_checksum(block);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

void tar_write_header(uint8_t block[TAR_BLOCK], const struct tar_item *item)
{
	char name[TAR_NAME_BYTES + 1];
	struct tar_item plain = *item;
	if (item->sparse) {
		snprintf(name, sizeof name, "GNUSparseFile.0/%.80s", last_part(item->path));
		plain.path = name;
	}
	write_block(block, &plain);
}

void tar_write_pax_header(uint8_t block[TAR_BLOCK], const struct tar_item *item, size_t length)
{
	char name[TAR_NAME_BYTES + 1];
	snprintf(name, sizeof name, "PaxHeaders/%.80s", last_part(item->path));
	struct tar_item header = {.type = 'x', .path = name, .link = "", .mode = 0644, .size = length};
	header.mtime.tv_sec = item->mtime.tv_sec < 0 ? 0 : item->mtime.tv_sec;
	write_block(block, &header);
}
