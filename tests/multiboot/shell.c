/* Commands on the serial line, a line each. */
#include "net.h"
#include "ninep.h"

enum { LINE_ROOM = 256, KILL_LINE = 0x15 };

struct command {
	const char *name;
	void (*run)(const char *argument);
};

static uint32_t read_number(const char *text)
{
	uint32_t number = 0;
	while (*text >= '0' && *text <= '9')
		number = 10 * number + (uint32_t)(*text++ - '0');
	return number;
}

static void do_echo(const char *argument) { say("%s\n", argument); }

static void do_cat(const char *argument) { ninep_show(argument); }

/* ADDRESS PORT */
static void do_mount(const char *argument)
{
	const char *port = argument;
	while (*port && *port++ != ' ')
		;
	say("%s\n", root_mount(argument, (uint16_t)read_number(port)) ? "mounted" : "not there");
}

static void do_rm(const char *argument) { ninep_remove(argument); }

/* FILE TEXT */
static void do_write(const char *argument)
{
	static char path[LINE_ROOM];
	size_t length = 0;

	for (; argument[length] && argument[length] != ' '; length++)
		path[length] = argument[length];
	path[length] = 0;
	ninep_write(path, argument[length] ? argument + length + 1 : "");
}

static void do_config(const char *argument)
{
	const char *value = config_find(argument);
	say("%s=%s\n", argument, value ? value : "(none)");
}

static void do_pci(const char *argument)
{
	(void)argument;
	pci_show();
}

static void do_floppy(const char *argument)
{
	(void)argument;
	floppy_config();
}

static void do_save(const char *argument) { say("%s\n", floppy_save(argument) ? "saved" : "cannot save"); }

static void do_halt(const char *argument)
{
	(void)argument;
	say("powering off\n");
	power_off();
}

/* What Plan 9 people type: file servers are told to write what they have, and then the machine ends. */
static void do_fshalt(const char *argument)
{
	static const uint8_t mark[SECTOR] = "halted\n";

	(void)argument;
	say("halting file systems\n");
	if (disk_is_there() && !disk_write(0, mark))
		say("the disk cannot be written to\n");
	say("done halting\n");
	power_off();
}

/* The text at the beginning of a sector. */
static void do_sector(const char *argument)
{
	static uint8_t sector[SECTOR + 1];

	if (disk_read(read_number(argument), sector))
		say("%s\n", (const char *)sector);
	else
		say("no such sector\n");
}

static void do_reboot(const char *argument)
{
	(void)argument;
	say("rebooting\n");
	reboot();
}

static const struct command commands[] = {
	{"cat", do_cat},
	{"config", do_config},
	{"echo", do_echo},
	{"floppy", do_floppy},
	{"fshalt", do_fshalt},
	{"halt", do_halt},
	{"mount", do_mount},
	{"pci", do_pci},
	{"reboot", do_reboot},
	{"rm", do_rm},
	{"save", do_save},
	{"sector", do_sector},
	{"write", do_write},
};

static void run(const char *line)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		const char *argument = after(line, commands[i].name);
		if (argument && (*argument == ' ' || !*argument)) {
			commands[i].run(*argument ? argument + 1 : argument);
			return;
		}
	}
	if (*line)
		say("%s: not a command\n", line);
}

/* Whole lines; what was typed is shown, as a terminal expects it. Ctrl-U takes it back. */
static void take(char c)
{
	static char line[LINE_ROOM];
	static size_t length;

	if (c == '\r' || c == '\n') {
		say("\n");
		line[length] = 0;
		length = 0;
		run(line);
		say("%% ");
	} else if (c == KILL_LINE) {
		for (; length > 0; length--)
			say("\b \b");
	} else if (c >= ' ' && length < LINE_ROOM - 1) {
		serial_put(c);
		line[length++] = c;
	}
}

/* With `powerbutton=ignored` it is like 9front, which does not know the button. */
static void mind_button(void)
{
	const char *choice = config_find("powerbutton");
	if (choice && same(choice, "ignored"))
		return;
	say("power button\n");
	power_off();
}

void shell(void)
{
	say("%% ");
	for (;;) {
		int c = serial_get();
		if (c >= 0)
			take((char)c);
		else
			rest();
		ip_poll();
		if (power_button_pressed())
			mind_button();
	}
}
