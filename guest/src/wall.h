/* The wall clock. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Sets it, unless it is right to 5 ms. */
void wall_set(uint64_t wall_ns);

/* Sets it, unless it is at this time already, to 5 ms, or past it. */
void wall_advance(uint64_t wall_ns);
