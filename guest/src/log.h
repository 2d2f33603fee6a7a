/* What init says on the console, and how it ends the machine when it cannot go on. */
#pragma once

/* One line on the console: `weft-init: ...`. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says why the machine cannot run and ends it. A kernel panic would bury the reason under a stack trace. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
