/* Unix sockets between the init and programs of the machine. */
#pragma once

/* A socket of this type at this path, for root only, the folders above it made; it does not wait. -1: it says why not. */
int local_open(const char *path, int type);

/* A socket of this type that is connected to it; -1 and errno if it is not. */
int local_connect(const char *path, int type);
