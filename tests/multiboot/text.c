/* Strings, and lines to the serial line. The compiler may call the first three by itself. */
#include "kernel.h"

#include <stdarg.h>

void *memcpy(void *to, const void *from, size_t count)
{
	char *out = to;
	const char *in = from;
	while (count--)
		*out++ = *in++;
	return to;
}

void *memset(void *to, int byte, size_t count)
{
	char *out = to;
	while (count--)
		*out++ = (char)byte;
	return to;
}

int memcmp(const void *one, const void *other, size_t count)
{
	const uint8_t *a = one, *b = other;
	for (; count; count--, a++, b++)
		if (*a != *b)
			return *a - *b;
	return 0;
}

size_t length_of(const char *text)
{
	size_t length = 0;
	while (text[length])
		length++;
	return length;
}

bool same(const char *one, const char *other)
{
	while (*one && *one == *other)
		one++, other++;
	return *one == *other;
}

const char *after(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return NULL;
	return text;
}

static void put_text(const char *text)
{
	while (*text)
		serial_put(*text++);
}

static void put_number(uint32_t number, uint32_t base, int width)
{
	char digits[11];
	int count = 0;
	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	for (int missing = width - count; missing > 0; missing--)
		serial_put('0');
	while (count)
		serial_put(digits[--count]);
}

static void put_signed(int32_t number)
{
	if (number < 0)
		serial_put('-');
	put_number(number < 0 ? -(uint32_t)number : (uint32_t)number, 10, 0);
}

void say(const char *format, ...)
{
	va_list values;
	va_start(values, format);
	for (; *format; format++) {
		if (*format != '%') {
			serial_put(*format);
			continue;
		}
		int width = 0;
		while (*++format >= '0' && *format <= '9')
			width = 10 * width + *format - '0';
		switch (*format) {
		case 's': put_text(va_arg(values, const char *)); break;
		case 'c': serial_put((char)va_arg(values, int)); break;
		case 'd': put_signed(va_arg(values, int32_t)); break;
		case 'u': put_number(va_arg(values, uint32_t), 10, width); break;
		case 'x': put_number(va_arg(values, uint32_t), 16, width); break;
		default: serial_put(*format);
		}
	}
	va_end(values);
}
