#include "pax_text.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits from *at on. False: there are none, or too many. */
static bool take_digits(const char *text, size_t length, size_t *at, uint64_t *out)
{
	size_t begin = *at;
	*out = 0;
	for (; *at < length && is_digit(text[*at]); (*at)++) {
		if (*out > (UINT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(text[*at] - '0');
	}
	return *at > begin;
}

bool pax_next(const char *text, size_t length, size_t *at, struct pax_record *record)
{
	size_t begin = *at, key = *at;
	uint64_t total;
	if (!take_digits(text, length, &key, &total) || key >= length || text[key] != ' ')
		return false;
	key++;
	if (total > length - begin || begin + total <= key || text[begin + total - 1] != '\n')
		return false;
	size_t end = begin + (size_t)total - 1;
	const char *equals = memchr(text + key, '=', end - key);
	if (!equals || equals == text + key)
		return false;
	*record = (struct pax_record){.key = text + key,
				      .value = equals + 1,
				      .key_length = (size_t)(equals - text) - key,
				      .value_length = end - (size_t)(equals + 1 - text)};
	*at = end + 1;
	return true;
}

bool pax_is(const struct pax_record *record, const char *key)
{
	return strlen(key) == record->key_length && !memcmp(key, record->key, record->key_length);
}

bool pax_number(const struct pax_record *record, uint64_t *out)
{
	size_t at = 0;
	return take_digits(record->value, record->value_length, &at, out) && at == record->value_length &&
	       *out <= INT64_MAX;
}

static long take_fraction(const char *text, size_t length, size_t *at)
{
	long nanoseconds = 0, unit = 100000000;
	if (*at >= length || text[*at] != '.')
		return 0;
	for ((*at)++; *at < length && is_digit(text[*at]); (*at)++, unit /= 10)
		nanoseconds += (text[*at] - '0') * unit;
	return nanoseconds;
}

bool pax_time(const struct pax_record *record, struct timespec *out)
{
	const char *text = record->value;
	size_t length = record->value_length, at = length && text[0] == '-';
	bool before = at;
	uint64_t seconds;
	if (!take_digits(text, length, &at, &seconds) || seconds > INT64_MAX / 2)
		return false;
	long nanoseconds = take_fraction(text, length, &at);
	out->tv_sec = before ? -(time_t)seconds : (time_t)seconds;
	out->tv_nsec = nanoseconds;
	if (before && nanoseconds) {
		out->tv_sec--;
		out->tv_nsec = 1000000000 - nanoseconds;
	}
	return at == length;
}
