#include "prefix.h"

#include <netinet/in.h>
#include <stdint.h>

int prefix_length(const struct sockaddr *mask)
{
	const uint8_t *bytes = mask->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)mask)->sin_addr
							  : (const void *)&((const struct sockaddr_in6 *)mask)->sin6_addr;
	int length = mask->sa_family == AF_INET ? 4 : 16, bits = 0;
	for (int i = 0; i < length; i++)
		bits += __builtin_popcount(bytes[i]);
	return bits;
}
