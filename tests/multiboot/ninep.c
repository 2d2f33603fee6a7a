/* A client of 9P2000 (Plan 9's manual, section 5) with one request at a time: fid 0 is the root, fid 1 what is looked at. */
#include "ninep.h"
#include "net.h"

enum {
	MOST = 8192,
	OVERHEAD = 24,
	NO_TAG = 0xFFFF,
	NO_FID = 0xFFFFFFFF,
	ROOT = 0,
	FILE = 1,
	VERSION = 100,
	ATTACH = 104,
	ERROR = 107,
	WALK = 110,
	OPEN = 112,
	CREATE = 114,
	READ = 116,
	WRITE = 118,
	CLUNK = 120,
	REMOVE = 122,
	TO_READ = 0,
	TO_WRITE = 1,
	FROM_NOTHING = 0x10,
	DIRECTORY = 0x80,
	QID = 13,
	STAT_NAME = 41,
};

static uint8_t message[MOST];
static uint32_t used, taken;

/* Numbers of 9P have the lowest byte first, as this processor has them. */
static void add(uint32_t value, uint32_t bytes)
{
	memcpy(message + used, &value, bytes);
	used += bytes;
}

static void add_text(const char *text, uint32_t length)
{
	add(length, 2);
	memcpy(message + used, text, length);
	used += length;
}

static uint32_t take(uint32_t bytes)
{
	uint32_t value = 0;
	memcpy(&value, message + taken, bytes);
	taken += bytes;
	return value;
}

static void begin(uint8_t type, uint16_t tag)
{
	used = 4;
	add(type, 1);
	add(tag, 2);
}

static void show_text(void)
{
	for (uint32_t count = take(2); count && taken < used; count--)
		serial_put((char)message[taken++]);
	say("\n");
}

/* Whether the answer is that of the request; its parts are taken then. What the server objects to is said. */
static bool ask(void)
{
	uint8_t type = message[4];
	uint32_t length = used;

	memcpy(message, &length, 4);
	if (!tcp_send(message, length) || !tcp_receive(message, 4)) {
		say("9p: no answer\n");
		return false;
	}
	memcpy(&used, message, 4);
	if (used < 7 || used > MOST || !tcp_receive(message + 4, used - 4)) {
		say("9p: no sound answer\n");
		return false;
	}
	taken = 7;
	if (message[4] == ERROR) {
		say("9p: ");
		show_text();
	}
	return message[4] == type + 1;
}

bool ninep_mount(uint32_t server, uint16_t port, const char *user)
{
	if (!tcp_connect(server, port)) {
		say("9p: %s\n", tcp_over() ? "refused" : "no connection");
		return false;
	}
	begin(VERSION, NO_TAG);
	add(MOST, 4);
	add_text("9P2000", 6);
	if (!ask())
		return false;
	begin(ATTACH, 0);
	add(ROOT, 4);
	add(NO_FID, 4);
	add_text(user, length_of(user));
	add_text("", 0);
	return ask();
}

/* From the root to FILE by the first `length` bytes of `path`. */
static bool walk(const char *path, uint32_t length)
{
	uint32_t names = 0;

	begin(WALK, 0);
	add(ROOT, 4);
	add(FILE, 4);
	uint32_t count_at = used;
	add(0, 2);
	for (uint32_t at = 0; at < length; names++) {
		uint32_t start = at += path[at] == '/';
		while (at < length && path[at] != '/')
			at++;
		if (at == start)
			break;
		add_text(path + start, at - start);
	}
	memcpy(message + count_at, &names, 2);
	if (!ask())
		return false;
	if (take(2) == names)
		return true;
	say("9p: not there\n");
	return false;
}

static bool end_with(uint8_t type)
{
	begin(type, 0);
	add(FILE, 4);
	return ask();
}

/* Whether the file that was asked for is open; it is let go of if not. */
static bool opened(void)
{
	if (ask())
		return true;
	end_with(CLUNK);
	return false;
}

static bool open(uint8_t mode, bool *is_directory)
{
	begin(OPEN, 0);
	add(FILE, 4);
	add(mode, 1);
	if (!opened())
		return false;
	*is_directory = take(1) == DIRECTORY;
	return true;
}

/* The next part of the file, in the message from `taken` on: how long it is, or -1. */
static int32_t read_part(uint32_t offset)
{
	begin(READ, 0);
	add(FILE, 4);
	add(offset, 4);
	add(0, 4);
	add(MOST - OVERHEAD, 4);
	return ask() ? (int32_t)take(4) : -1;
}

static void show_part(bool is_directory, uint32_t count)
{
	uint32_t end = taken + count;
	while (taken < end && is_directory) {
		uint32_t size = take(2), next = taken + size;
		taken += STAT_NAME - 2;
		show_text();
		taken = next;
	}
	while (taken < end)
		serial_put((char)message[taken++]);
}

void ninep_show(const char *path)
{
	bool is_directory;
	int32_t count;

	if (!walk(path, length_of(path)))
		return;
	if (!open(TO_READ, &is_directory))
		return;
	for (uint32_t offset = 0; (count = read_part(offset)) > 0; offset += (uint32_t)count)
		show_part(is_directory, (uint32_t)count);
	end_with(CLUNK);
}

static bool create(const char *path)
{
	uint32_t length = length_of(path), folder = length;
	while (folder && path[folder - 1] != '/')
		folder--;
	if (!walk(path, folder))
		return false;
	begin(CREATE, 0);
	add(FILE, 4);
	add_text(path + folder, length - folder);
	add(0644, 4);
	add(TO_WRITE, 1);
	return opened();
}

void ninep_write(const char *path, const char *text)
{
	bool is_directory;
	uint32_t length = length_of(text);

	if (walk(path, length_of(path)) ? !open(TO_WRITE | FROM_NOTHING, &is_directory) : !create(path))
		return;
	begin(WRITE, 0);
	add(FILE, 4);
	add(0, 4);
	add(0, 4);
	add(length, 4);
	memcpy(message + used, text, length);
	used += length;
	if (ask())
		say("written: %u bytes\n", take(4));
	end_with(CLUNK);
}

void ninep_remove(const char *path)
{
	if (walk(path, length_of(path)) && end_with(REMOVE))
		say("removed\n");
}
