#include "tar_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools.h"

enum { OUT_BYTES = 128 * 1024 };

static uint8_t out[OUT_BYTES];
static size_t have;

void out_flush(void)
{
	for (size_t at = 0; at < have;) {
		ssize_t done = write(STDOUT_FILENO, out + at, have - at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			exit(TOOL_FAILED);
		at += (size_t)done;
	}
	have = 0;
}

void out_put(const void *data, size_t length)
{
	for (size_t at = 0; at < length;) {
		size_t count = length - at < OUT_BYTES - have ? length - at : OUT_BYTES - have;
		memcpy(out + have, (const uint8_t *)data + at, count);
		have += count;
		at += count;
		if (have == OUT_BYTES)
			out_flush();
	}
}

void out_put_zeros(uint64_t count)
{
	static const uint8_t zeros[4096];
	for (size_t part; count; count -= part) {
		part = count < sizeof zeros ? (size_t)count : sizeof zeros;
		out_put(zeros, part);
	}
}

bool out_put_file(int fd, uint64_t offset, uint64_t length)
{
	while (length) {
		size_t want = length < OUT_BYTES - have ? (size_t)length : OUT_BYTES - have;
		ssize_t got = pread(fd, out + have, want, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int error = got ? errno : EIO;
			out_put_zeros(length);
			errno = error;
			return false;
		}
		have += (size_t)got;
		offset += (uint64_t)got;
		length -= (uint64_t)got;
		if (have == OUT_BYTES)
			out_flush();
	}
	return true;
}
