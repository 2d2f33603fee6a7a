/*
 * Where the root is, as 9front's boot(8) takes it: nobootprompt=METHOD!ARGUMENTS. With `tcp` the arguments are those of
 * ipconfig(8), like -g 10.0.0.1 ether /net/ether0 10.0.0.2 255.255.255.0, and the server is fs.
 */
#include "net.h"
#include "ninep.h"

enum { PORT = 564, USER_ROOM = 64 };

static const char *skip_word(const char *text)
{
	while (*text && *text != ' ')
		text++;
	while (*text == ' ')
		text++;
	return text;
}

/* The NIC whose device the arguments name, and the addresses that they give. */
static bool configure(const char *arguments, uint32_t *nic)
{
	struct ip_addresses given = {0};
	const char *at = after(arguments, "-g ");

	if (at && !(at = ip_parse(at, &given.gateway)))
		return false;
	at = at ? skip_word(at) : arguments;
	at = skip_word(at);	/* the kind of network */
	const char *number = after(at, "/net/ether");
	*nic = number && *number >= '0' && *number <= '9' ? (uint32_t)(*number - '0') : 0;
	at = skip_word(at);
	if (!(at = ip_parse(at, &given.own)) || !ip_parse(skip_word(at), &given.mask))
		return false;
	ip_start(given);
	return true;
}

static void copy_user(char to[USER_ROOM])
{
	const char *user = config_find("user");
	size_t length = user ? length_of(user) : 0;
	memset(to, 0, USER_ROOM);
	memcpy(to, user ? user : "none", user ? length < USER_ROOM ? length : USER_ROOM - 1 : 4);
}

bool root_mount(const char *address, uint16_t port)
{
	uint32_t server;
	char user[USER_ROOM];

	if (!ip_own() || !ip_parse(address, &server)) {
		say("root: no network, or no server\n");
		return false;
	}
	copy_user(user);
	return ninep_mount(server, port, user);
}

void root_start(void)
{
	uint32_t nic;
	const char *method = config_find("nobootprompt"), *arguments = method ? after(method, "tcp!") : NULL;

	if (!arguments)
		return;
	if (!configure(arguments, &nic) || !net_start(nic)) {
		say("root: no network\n");
		return;
	}
	const char *fs = config_find("fs");
	say("root: %s\n", fs && root_mount(fs, PORT) ? "mounted" : "not there");
}
