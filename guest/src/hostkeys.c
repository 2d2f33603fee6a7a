#include "hostkeys.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "files.h"

static const struct place {
	const char *folder, *prefix, *suffix;
	bool dropbear;
} places[] = {
	{"/etc/ssh", "ssh_host_", "_key", false},
	{"/etc/dropbear", "dropbear_", "_host_key", true},
};

/* The type stands in the middle of the name: ssh_host_ed25519_key. */
static bool parse_name(const struct place *place, const char *name, struct hostkey *key)
{
	size_t length = strlen(name), before = strlen(place->prefix), behind = strlen(place->suffix);
	if (length <= before + behind || length - before - behind >= sizeof key->type)
		return false; /* no type has so long a name */
	if (strncmp(name, place->prefix, before) != 0 || strcmp(name + length - behind, place->suffix) != 0)
		return false;
	snprintf(key->type, sizeof key->type, "%.*s", (int)(length - before - behind), name + before);
	snprintf(key->path, sizeof key->path, "%s/%.60s", place->folder, name);
	key->dropbear = place->dropbear;
	return true;
}

static bool find_in(const struct place *place, struct hostkey *key)
{
	DIR *entries = opendir(place->folder);
	bool found = false;
	if (!entries)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(entries));)
		found = parse_name(place, entry->d_name, key);
	closedir(entries);
	return found;
}

bool hostkey_take(struct hostkey *key)
{
	char public[HOSTKEY_PATH + 8];
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (find_in(&places[i], key)) {
			snprintf(public, sizeof public, "%s.pub", key->path);
			unlink(public);
			return unlink(key->path) == 0;
		}
	return false;
}

char *const *hostkey_maker(const struct hostkey *key)
{
	static struct hostkey copy;
	static char *openssh[] = {"ssh-keygen", "-q", "-t", copy.type, "-N", "", "-f", copy.path, NULL};
	static char *dropbear[] = {"dropbearkey", "-t", copy.type, "-f", copy.path, NULL};
	copy = *key;
	return key->dropbear ? dropbear : openssh;
}

/* The name and the parent of a process; the name may hold anything, so the fields behind it are found from the end. */
static bool is_server(const char *pid, pid_t *parent)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	if (read_file(path, text, sizeof text) <= 0)
		return false;
	char *name = strchr(text, '('), *end = strrchr(text, ')');
	if (!name || !end || strlen(end) < 5)
		return false;
	*end = 0;
	*parent = (pid_t)strtol(end + 4, NULL, 10);
	return !strcmp(name + 1, "sshd");
}

void hostkeys_tell_servers(void)
{
	DIR *entries = opendir("/proc");
	pid_t parent, above;
	if (!entries)
		return;
	for (struct dirent *entry; (entry = readdir(entries));) {
		char number[24];
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_server(entry->d_name, &parent))
			continue;
		snprintf(number, sizeof number, "%d", (int)parent);
		if (!is_server(number, &above)) /* else it serves a session */
			kill((pid_t)strtol(entry->d_name, NULL, 10), SIGHUP);
	}
	closedir(entries);
}
