#include "proto.h"

#include <string.h>

#include "bytes.h"

enum { HELLO_BYTES = PROTO_NONCE + 4 + 8, EXEC_FIXED = 10, BECOMES = 1 };

bool parse_hello(const uint8_t *payload, size_t length, struct hello *out)
{
	if (length < PROTO_NONCE + 4)
		return false;
	out->nonce = payload;
	out->major = get_u16(payload + PROTO_NONCE);
	out->minor = get_u16(payload + PROTO_NONCE + 2);
	out->wall_ns = length >= HELLO_BYTES ? get_u64(payload + PROTO_NONCE + 4) : 0;
	out->becomes = length > HELLO_BYTES && (payload[HELLO_BYTES] & BECOMES);
	/* A longer HELLO is one of a later minor version. */
	return out->major != PROTO_MAJOR || length >= HELLO_BYTES;
}

/* Takes `count` NUL-terminated strings; NULL when they are not all there. */
static uint8_t *take_strings(uint8_t *at, const uint8_t *end, char **out, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t *nul = memchr(at, 0, (size_t)(end - at));
		if (!nul)
			return NULL;
		out[i] = (char *)at;
		at = nul + 1;
	}
	out[count] = NULL;
	return at;
}

static bool are_assignments(char *const *env)
{
	for (; *env; env++)
		if (**env == '=' || !strchr(*env, '='))
			return false;
	return true;
}

/* The strings must end exactly where the payload does. This is also what makes a frame harmless that was cut off by a lost
 * connection and completed with padding: each lost byte that was not zero leaves a zero too many. */
bool parse_exec(uint8_t *payload, size_t length, struct exec_request *out)
{
	if (length < EXEC_FIXED)
		return false;
	out->flags = get_u16(payload);
	out->rows = get_u16(payload + 2);
	out->cols = get_u16(payload + 4);
	size_t argc = get_u16(payload + 6), envc = get_u16(payload + 8);
	if (argc < 1 || argc > PROTO_MAX_STRINGS || envc > PROTO_MAX_STRINGS || (out->flags & ~EXEC_FLAGS))
		return false;
	uint8_t *at = payload + EXEC_FIXED, *end = payload + length;
	char *tail[3];
	at = take_strings(at, end, out->argv, argc);
	at = at ? take_strings(at, end, out->env, envc) : NULL;
	at = at ? take_strings(at, end, tail, 2) : NULL;
	if (at != end || !*out->argv[0] || !are_assignments(out->env))
		return false;
	out->cwd = tail[0];
	out->user = tail[1];
	return true;
}

bool parse_window(const uint8_t *payload, size_t length, uint32_t *credit)
{
	if (length != 4)
		return false;
	*credit = get_u32(payload);
	return true;
}

bool parse_resize(const uint8_t *payload, size_t length, uint16_t *rows, uint16_t *cols)
{
	if (length != 4)
		return false;
	*rows = get_u16(payload);
	*cols = get_u16(payload + 2);
	return true;
}

bool parse_signal(const uint8_t *payload, size_t length, int *number)
{
	if (length != 4)
		return false;
	uint32_t value = get_u32(payload);
	*number = (int)value;
	return value >= 1 && value <= 64;
}

bool parse_shutdown(const uint8_t *payload, size_t length, enum shutdown_kind *kind, uint32_t *grace_ms)
{
	if (length != 5)
		return false;
	*kind = (enum shutdown_kind)payload[0];
	*grace_ms = get_u32(payload + 1);
	return (payload[0] == SHUTDOWN_POWER_OFF || payload[0] == SHUTDOWN_REBOOT) && *grace_ms <= PROTO_MAX_GRACE_MS;
}

bool parse_time(const uint8_t *payload, size_t length, uint64_t *wall_ns)
{
	if (length != 8)
		return false;
	*wall_ns = get_u64(payload);
	return *wall_ns <= INT64_MAX;
}

bool parse_committed(const uint8_t *payload, size_t length, bool *accepted, const char **why)
{
	if (length < 2 || (payload[0] != 1 && payload[0] != 2))
		return false;
	*accepted = payload[0] == 1;
	*why = (const char *)payload + 1;
	return memchr(payload + 1, 0, length - 1) == payload + length - 1;
}

static uint8_t *put_string(uint8_t *at, const uint8_t *end, const char *text)
{
	size_t length = strnlen(text, (size_t)(end - at) - 1);
	memcpy(at, text, length);
	at[length] = 0;
	return at + length + 1;
}

size_t dump_entry(uint8_t *out, const struct entry_status *entry)
{
	uint8_t *at = out;
	*at++ = (uint8_t)entry->state;
	*at++ = (uint8_t)entry->ended_by;
	at = put_u32(at, (uint32_t)entry->value);
	at = put_u32(at, entry->pid);
	at = put_u32(at, entry->restarts);
	return (size_t)(at - out);
}

size_t dump_ready(uint8_t *out, size_t room, const struct ready *ready)
{
	uint8_t *at = out, *end = out + room;
	memcpy(at, ready->nonce, PROTO_NONCE);
	at = put_u16(at + PROTO_NONCE, PROTO_MAJOR);
	at = put_u16(at, PROTO_MINOR);
	at = put_u64(at, ready->started_ns);
	at = put_u64(at, ready->ready_ns);
	at = put_u64(at, ready->wall_ns);
	at = put_u32(at, PROTO_MAX_STREAMS);
	at = put_u32(at, PROTO_WINDOW);
	at += dump_entry(at, &ready->entry);
	at = put_string(at, end - 3, ready->boot_id);
	at = put_string(at, end - 2, ready->release);
	at = put_string(at, end - 1, ready->hostname);
	*at++ = ready->held;
	return (size_t)(at - out);
}

size_t dump_exit(uint8_t *out, enum ended_by ended_by, int32_t value)
{
	out[0] = (uint8_t)ended_by;
	put_u32(out + 1, (uint32_t)value);
	return 5;
}

size_t dump_error(uint8_t *out, size_t room, uint32_t code, const char *text)
{
	put_u32(out, code);
	return (size_t)(put_string(out + 4, out + room, text) - out);
}

size_t dump_event(uint8_t *out, const char *event)
{
	size_t kind = strspn(event, "abcdefghijklmnopqrstuvwxyz0123456789-"), length = strlen(event);
	if (event[0] < 'a' || event[0] > 'z' || event[kind] != ' ')
		return 0;
	memcpy(out, event, length + 1);
	out[kind] = 0;
	return length + 1;
}
