/* How long the prefix of a network mask is. */
#pragma once

#include <sys/socket.h>

/* Of an IPv4 or IPv6 mask. */
int prefix_length(const struct sockaddr *mask);
