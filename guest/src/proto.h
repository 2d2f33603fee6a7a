/* Payloads of the agent's protocol. Pure: no input or output, no allocation; every length is checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROTO_MAJOR = 1,
	PROTO_MINOR = 3,
	PROTO_NONCE = 16,
	PROTO_WINDOW = 64 * 1024, /* bytes a peer may send on a stream before it is given more */
	PROTO_MAX_STREAMS = 128,
	PROTO_MAX_STRINGS = 1024, /* in an EXEC: arguments, and as many environment strings */
	PROTO_MAX_GRACE_MS = 60 * 1000,
};

enum exec_flags { EXEC_TTY = 1, EXEC_STDIN = 2, EXEC_BUILTIN = 4, EXEC_DETACHED = 8 };
enum { EXEC_FLAGS = EXEC_TTY | EXEC_STDIN | EXEC_BUILTIN | EXEC_DETACHED };

enum shutdown_kind { SHUTDOWN_POWER_OFF = 1, SHUTDOWN_REBOOT = 2 };

enum entry_state { ENTRY_NONE = 0, ENTRY_RUNNING = 1, ENTRY_EXITED = 2, ENTRY_WAITING = 3 };

enum ended_by { ENDED_BY_CODE = 1, ENDED_BY_SIGNAL = 2 };

struct hello {
	const uint8_t *nonce;
	uint16_t major, minor;
	uint64_t wall_ns;
	bool becomes; /* a BECOME follows */
};

/* Strings point into the payload that was parsed. */
struct exec_request {
	uint16_t flags, rows, cols;
	char *argv[PROTO_MAX_STRINGS + 1];
	char *env[PROTO_MAX_STRINGS + 1];
	char *cwd, *user; /* empty: the machine's own */
};

struct entry_status {
	enum entry_state state;
	enum ended_by ended_by; /* of the last end, when there was one */
	int32_t value;          /* exit code or signal */
	uint32_t pid;
	uint32_t restarts;
};

struct ready {
	const uint8_t *nonce;
	uint64_t started_ns, ready_ns; /* since boot: when init began, when it could first answer */
	uint64_t wall_ns;
	struct entry_status entry;
	const char *boot_id, *release, *hostname;
	bool held; /* it is not yet whom it is to be */
};

/* The nonce and the version are in the same place in every version, so that strangers can say what they are. */
bool parse_hello(const uint8_t *payload, size_t length, struct hello *out);
bool parse_exec(uint8_t *payload, size_t length, struct exec_request *out);
bool parse_window(const uint8_t *payload, size_t length, uint32_t *credit);
bool parse_resize(const uint8_t *payload, size_t length, uint16_t *rows, uint16_t *cols);
bool parse_signal(const uint8_t *payload, size_t length, int *number);
bool parse_shutdown(const uint8_t *payload, size_t length, enum shutdown_kind *kind, uint32_t *grace_ms);
bool parse_time(const uint8_t *payload, size_t length, uint64_t *wall_ns);

/* `why` points into the payload. */
bool parse_committed(const uint8_t *payload, size_t length, bool *accepted, const char **why);

/* Each writes a payload of at most `room` bytes and returns its length; strings are cut to what fits. */
size_t dump_ready(uint8_t *out, size_t room, const struct ready *ready);
size_t dump_exit(uint8_t *out, enum ended_by ended_by, int32_t value);
size_t dump_entry(uint8_t *out, const struct entry_status *entry);
size_t dump_error(uint8_t *out, size_t room, uint32_t code, const char *text);

/* Of `KIND TEXT`. 0: it is none; a kind is a small letter, then small letters, digits and hyphens. Never longer than that. */
size_t dump_event(uint8_t *out, const char *event);
