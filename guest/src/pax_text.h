/* The records of a pax header: `LENGTH KEY=VALUE\n`, LENGTH being that of all of it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct pax_record {
	const char *key, *value;
	size_t key_length, value_length;
};

/* The record at *at, which moves behind it. False: it is malformed. */
bool pax_next(const char *text, size_t length, size_t *at, struct pax_record *record);

bool pax_is(const struct pax_record *record, const char *key);
bool pax_number(const struct pax_record *record, uint64_t *out);

/* Like `1700000000.25`, also before 1970. */
bool pax_time(const struct pax_record *record, struct timespec *out);
