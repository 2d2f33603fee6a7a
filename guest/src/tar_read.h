/* Reading a tar archive that comes in pieces: ustar, pax, GNU's long names and sparse files. Pure: no input or output, no
 * allocation; whatever the bytes are, memory is fixed and every length is checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "tar_format.h"

/* `path` and `link` are as they stand in the archive: whoever makes files of them keeps them in their place. */
struct tar_entry {
	char type; /* '0' file, '1' hard link, '2' link, '3' character, '4' block device, '5' folder, '6' FIFO */
	char path[TAR_PATH_ROOM], link[TAR_PATH_ROOM];
	unsigned mode, uid, gid, major, minor;
	uint64_t size; /* of the file, with its holes */
	struct timespec mtime;
};

enum tar_event_kind {
	TAR_NOTHING,  /* go on */
	TAR_ENTRY,    /* reader->entry is filled; its data follows */
	TAR_DATA,     /* `length` bytes at `data` belong at `offset` of the file */
	TAR_END,      /* of the entry */
	TAR_FINISHED, /* of the archive; what follows is passed over */
	TAR_BAD,      /* `reason`; nothing follows */
};

struct tar_event {
	enum tar_event_kind kind;
	const uint8_t *data;
	size_t length;
	uint64_t offset;
	const char *reason;
};

enum tar_state {
	TAR_AT_HEADER,
	TAR_AT_TEXT,
	TAR_AT_EXTENSION,
	TAR_AT_MAP,
	TAR_AT_DATA,
	TAR_AT_PADDING,
	TAR_AT_SKIP,
	TAR_IS_OVER,
};

/* All zero: at the beginning. */
struct tar_reader {
	struct tar_entry entry;
	enum tar_state state;
	uint8_t block[TAR_BLOCK];
	size_t have;
	char text[TAR_MAX_PAX + 1]; /* of a pax header or a long name */
	size_t text_have, text_length;
	char text_type;
	bool has_path, has_link, has_size, has_uid, has_gid, has_mtime; /* said already, by text before the header */
	bool has_map, map_follows;
	bool in_entry; /* an entry has been told of, and its end has not */
	bool is_used;  /* what is in `entry` belonged to the last header */
	uint64_t stored; /* bytes of the entry in the archive */
	uint64_t left;   /* of these, or of padding, still to come */
	struct tar_segment segments[TAR_MAX_SEGMENTS];
	size_t segment_count, segment_at;
	uint64_t segment_done;
	uint64_t map_number, map_wanted, map_taken;
	bool map_in_number;
};

/* Takes some of the bytes and returns how many; *event says what they were. Once `length` is 0 nothing happens. */
size_t tar_reader_feed(struct tar_reader *reader, const uint8_t *data, size_t length, struct tar_event *event);

/* Whether the input may end here. */
bool tar_reader_is_whole(const struct tar_reader *reader);

/* The extended attributes of the entry, one by one: `at` is 0 at first. False: there are no more. */
bool tar_reader_attribute(const struct tar_reader *reader, size_t *at, const char **name, size_t *name_length,
			  const char **value, size_t *value_length);
