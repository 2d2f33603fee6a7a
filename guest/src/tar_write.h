/* The blocks before a file's content in a tar archive. Pure: no input or output, no allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "tar_format.h"

struct tar_item {
	char type; /* as in the archive: '0' file, '1' hard link, '2' link, '3' character, '4' block device, '5' folder, '6' FIFO */
	const char *path, *link; /* link: of '1' and '2', else empty */
	unsigned mode, uid, gid, major, minor;
	uint64_t size;   /* of what follows in the archive */
	bool sparse;     /* it follows with a map in front */
	uint64_t extent; /* of a sparse file: its size with the holes */
	struct timespec mtime;
};

/* Records of one pax header. */
struct pax {
	char bytes[TAR_MAX_PAX];
	size_t length;
};

/* False: it does not fit. */
bool pax_add(struct pax *pax, const char *key, const void *value, size_t length);

/* Adds what of the item does not fit the plain header. */
bool pax_add_item(struct pax *pax, const struct tar_item *item);

void tar_write_header(uint8_t block[TAR_BLOCK], const struct tar_item *item);

/* The header of the records themselves; they follow, padded to whole blocks. */
void tar_write_pax_header(uint8_t block[TAR_BLOCK], const struct tar_item *item, size_t length);
