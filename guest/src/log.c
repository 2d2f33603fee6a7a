#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "power.h"

static void say_list(const char *format, va_list arguments)
{
	char line[512] = "weft-init: ";
	int used = 11;
	int more = vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
	used += more < (int)sizeof line - used - 1 ? more : (int)sizeof line - used - 2;
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)used) < 0)
		return; /* no console: nobody to tell */
}

void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say_list(format, arguments);
	va_end(arguments);
}

void fatal(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say_list(format, arguments);
	va_end(arguments);
	tcdrain(STDERR_FILENO); /* the serial port may still be sending the reason */
	power_off_now();
}
