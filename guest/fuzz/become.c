/* The pieces of a BECOME, each with a length in front, and the configuration that comes out of them. */
#include "gather.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct told *told)
{
	static struct config config;
	static const uint8_t zeros[BECOME_SEED];
	if (!told->length || told->length > CONFIG_MAX_BYTES || memchr(told->text, 0, told->length) || told->wall_ns > INT64_MAX)
		abort();
	memcpy(told->seed, zeros, sizeof zeros);
	if (!config_parse(&config, told->text, told->length) && strlen(config.error) >= CONFIG_ERROR_BYTES)
		abort();
}

/* A piece is given in a buffer of exactly its size, which the address sanitizer watches. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gathering gathering;
	struct told told;
	memset(&gathering, 0, sizeof gathering);
	while (size > 1) {
		size_t length = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		length = length < size ? length : size;
		uint8_t *piece = malloc(length ? length : 1);
		if (length)
			memcpy(piece, data, length);
		if (gather(&gathering, piece, length, &told))
			use(&told);
		free(piece);
		data += length;
		size -= length;
	}
	return 0;
}
