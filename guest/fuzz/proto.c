/* Every decoder of a payload, each on the same bytes in a buffer of exactly their size, and the encoders with what came out. */
#include "proto.h"

#include <stdlib.h>
#include <string.h>

/* Reads each to its end, which the address sanitizer watches. */
static void use_strings(char *const *list)
{
	for (; *list; list++)
		if (strlen(*list) > 8192)
			abort();
}

static void try_exec(uint8_t *payload, size_t size)
{
	static struct exec_request request;
	if (!parse_exec(payload, size, &request))
		return;
	if (!request.argv[0] || !*request.argv[0])
		abort();
	use_strings(request.argv);
	use_strings(request.env);
	use_strings((char *const[]){request.cwd, request.user, NULL});
}

static void try_numbers(const uint8_t *payload, size_t size)
{
	uint32_t number;
	uint16_t rows, cols;
	uint64_t wall_ns;
	int signal;
	enum shutdown_kind kind;
	bool accepted;
	const char *why;
	if (parse_committed(payload, size, &accepted, &why) && strlen(why) != size - 2)
		abort();
	parse_window(payload, size, &number);
	parse_resize(payload, size, &rows, &cols);
	parse_time(payload, size, &wall_ns);
	if (parse_signal(payload, size, &signal) && (signal < 1 || signal > 64))
		abort();
	if (parse_shutdown(payload, size, &kind, &number) && (kind < 1 || kind > 2 || number > PROTO_MAX_GRACE_MS))
		abort();
}

/* Whatever the machine's names are, an answer fits the room it is given. */
static void try_dumps(const uint8_t *payload, size_t size)
{
	uint8_t out[256];
	char text[512];
	size_t length = size < sizeof text - 1 ? size : sizeof text - 1;
	memcpy(text, payload, length);
	text[length] = 0;
	struct ready ready = {.nonce = (const uint8_t *)"0123456789abcdef", .boot_id = text, .release = text, .hostname = text};
	static uint8_t event[sizeof text];
	size_t told = dump_event(event, text);
	if (told && (told != strlen(text) + 1 || event[told - 1] || strlen((char *)event) >= told - 1))
		abort();
	if (dump_ready(out, sizeof out, &ready) > sizeof out || dump_error(out, 64, 1, text) > 64)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello hello;
	uint8_t *payload = malloc(size ? size : 1);
	if (size)
		memcpy(payload, data, size);
	if (parse_hello(payload, size, &hello) && hello.nonce != payload)
		abort();
	try_numbers(payload, size);
	try_dumps(payload, size);
	try_exec(payload, size);
	free(payload);
	return 0;
}
