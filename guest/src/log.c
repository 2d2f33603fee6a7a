#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "agent.h"
#include "power.h"

enum { LINE_BYTES = 500 };

static void write_line(const char *text)
{
	char line[LINE_BYTES + 16];
	int length = snprintf(line, sizeof line, "weft-init: %s\n", text);
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* no console: nobody to tell */
}

void say(const char *format, ...)
{
	char text[LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	write_line(text);
}

void fatal(const char *format, ...)
{
	char text[LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	write_line(text);
	agent_tell_failure(text);
	tcdrain(STDERR_FILENO); /* the serial port may still be sending the reason */
	power_off_now();
}
