/* What the files of the archive's reader share. Pure. */
#pragma once

#include "tar_read.h"

/* tar_fields.c: a header's block. A number is octal digits between spaces, ended by a space or NUL, or, with the first bit set,
 * a big-endian one of GNU's. False: the field holds something else, or more than `limit`. */
bool tar_take_unsigned(const uint8_t *field, size_t width, uint64_t limit, uint64_t *out);
bool tar_is_zero(const uint8_t block[TAR_BLOCK]);
bool tar_has_right_checksum(const uint8_t block[TAR_BLOCK]);

/* Fills the entry, except with what text before the header has said. */
bool tar_take_fields(struct tar_reader *reader);

/* The type of what is made of it. */
char tar_plain_type(const struct tar_reader *reader, char type);

/* tar_text.c: pax headers and long names. */
void tar_forget_text(struct tar_reader *reader);

/* What reader->text says of the next header. False: it is malformed. */
bool tar_use_text(struct tar_reader *reader);

/* tar_map.c: where the pieces of a sparse file are. */
bool tar_add_segment(struct tar_reader *reader, uint64_t offset, uint64_t length);
bool tar_take_gnu_segments(struct tar_reader *reader, const uint8_t *at, int count);

/* The map in front of the data: block by block, until it is done. */
void tar_begin_map(struct tar_reader *reader);
bool tar_take_map_block(struct tar_reader *reader);
bool tar_map_is_done(const struct tar_reader *reader);

/* Whether the pieces are inside the file, one behind the other, and as long as what is left of the entry. */
bool tar_map_is_whole(const struct tar_reader *reader);
