/* The keys by which a machine's SSH servers are known: a copy's are not the original's. */
#pragma once

#include <stdbool.h>

enum { HOSTKEY_PATH = 128 };

struct hostkey {
	char path[HOSTKEY_PATH], type[16];
	bool dropbear;
};

/* Removes one key that is there, and says which: it is to be made again. False: there is none left. Call it until then
 * before any is made. */
bool hostkey_take(struct hostkey *key);

/* The program that makes it, as an argument list that lasts until the next call. */
char *const *hostkey_maker(const struct hostkey *key);

/* SSH servers that run read their keys again; their sessions are left alone. */
void hostkeys_tell_servers(void);
