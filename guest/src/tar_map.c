/* Where the pieces of a sparse file are. Pure. */
#include "tar_parts.h"

bool tar_add_segment(struct tar_reader *reader, uint64_t offset, uint64_t length)
{
	if (reader->segment_count >= TAR_MAX_SEGMENTS)
		return false;
	reader->segments[reader->segment_count++] = (struct tar_segment){offset, length};
	return true;
}

bool tar_take_gnu_segments(struct tar_reader *reader, const uint8_t *at, int count)
{
	uint64_t offset, length;
	for (; count-- > 0 && at[0]; at += TAR_SEGMENT_BYTES) {
		if (!tar_take_unsigned(at, 12, INT64_MAX, &offset) || !tar_take_unsigned(at + 12, 12, INT64_MAX, &length))
			return false;
		if (!tar_add_segment(reader, offset, length))
			return false;
	}
	return true;
}

void tar_begin_map(struct tar_reader *reader)
{
	reader->map_number = reader->map_wanted = reader->map_taken = 0;
	reader->map_in_number = false;
	reader->segment_count = 0;
	reader->state = TAR_AT_MAP;
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
		return tar_add_segment(reader, number, 0);
	reader->segments[reader->segment_count - 1].length = number;
	return true;
}

bool tar_map_is_done(const struct tar_reader *reader)
{
	return reader->map_taken && reader->map_taken == reader->map_wanted;
}

/* A number may go on in the next block. */
bool tar_take_map_block(struct tar_reader *reader)
{
	for (int i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = reader->block[i];
		if (tar_map_is_done(reader))
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

bool tar_map_is_whole(const struct tar_reader *reader)
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
