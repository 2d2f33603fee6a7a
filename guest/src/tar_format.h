/* The layout of a tar archive's blocks: POSIX ustar with pax records, and what GNU tar adds. */
#pragma once

#include <stdint.h>

enum {
	TAR_BLOCK = 512,
	TAR_PATH_ROOM = 4096, /* of a name or of a link's target, with the NUL */
	TAR_MAX_PAX = 256 * 1024,
	TAR_MAX_SEGMENTS = 16 * 1024,
};

enum tar_field {
	TAR_NAME = 0,
	TAR_MODE = 100,
	TAR_UID = 108,
	TAR_GID = 116,
	TAR_SIZE = 124,
	TAR_MTIME = 136,
	TAR_CHECKSUM = 148,
	TAR_TYPE = 156,
	TAR_LINK = 157,
	TAR_MAGIC = 257,
	TAR_MAJOR = 329,
	TAR_MINOR = 337,
	TAR_PREFIX = 345,
	TAR_GNU_SPARSE = 386, /* four segments of 24 bytes, "is extended", real size */
	TAR_GNU_EXTENDED = 482,
	TAR_GNU_REAL_SIZE = 483,
};

enum {
	TAR_NAME_BYTES = 100,
	TAR_PREFIX_BYTES = 155,
	TAR_CHECKSUM_BYTES = 8,
	TAR_SEGMENT_BYTES = 24,
	TAR_EXTENSION_SEGMENTS = 21, /* in a block of its own, "is extended" behind them */
};

/* A piece of a file that is not a hole. */
struct tar_segment {
	uint64_t offset, length;
};

static inline uint64_t tar_padding(uint64_t size)
{
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}
