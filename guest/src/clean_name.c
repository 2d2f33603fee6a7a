#include "clean_name.h"

#include <stdbool.h>
#include <string.h>

void clean_name(char *out, const char *name)
{
	char *to = out;
	while (*name) {
		size_t length = strcspn(name, "/");
		bool keep = length && !(length == 1 && name[0] == '.') && !(length == 2 && name[0] == '.' && name[1] == '.');
		if (keep && to > out)
			*to++ = '/';
		if (keep) {
			memmove(to, name, length);
			to += length;
		}
		name += length;
		name += *name == '/';
	}
	if (to == out)
		*to++ = '.';
	*to = 0;
}
