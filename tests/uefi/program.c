/* A program for UEFI firmware: it counts its boots in a variable, says how many there were, and powers off when `off` is
 * typed. What it uses of the firmware is in the UEFI Specification 2.9: chapters 4 (system table), 7 (events), 8
 * (variables, reset) and 12 (console). Functions that it does not use are told by their places alone. */

#include <stddef.h>
#include <stdint.h>

#define EFI __attribute__((ms_abi))
#define NON_VOLATILE 1u
#define BOOT_SERVICE 2u
#define SHUTDOWN 2u

typedef uint64_t status;
typedef uint16_t letter;

struct header {
	uint64_t signature;
	uint32_t revision, size, sum, reserved;
};

struct guid {
	uint32_t first;
	uint16_t second, third;
	uint8_t rest[8];
};

struct key {
	uint16_t scan;
	letter typed;
};

struct input {
	void *reset;
	status(EFI *read)(struct input *, struct key *);
	void *event;
};

struct output {
	void *reset;
	status(EFI *write)(struct output *, const letter *);
};

struct boot_services {
	struct header header;
	void *of_tasks_memory_and_timers[9];
	status(EFI *wait)(size_t count, void **events, size_t *which);
};

struct runtime_services {
	struct header header;
	void *of_time_and_memory[6];
	status(EFI *get)(const letter *name, const struct guid *, uint32_t *attributes, size_t *size, void *value);
	void *next_name;
	status(EFI *set)(const letter *name, const struct guid *, uint32_t attributes, size_t size, const void *value);
	void *next_count;
	void(EFI *reset)(uint32_t kind, status, size_t size, const void *why);
};

struct system {
	struct header header;
	const letter *vendor;
	uint32_t revision;
	void *input_handle;
	struct input *input;
	void *output_handle;
	struct output *output;
	void *error_handle, *error;
	struct runtime_services *runtime;
	struct boot_services *boot;
};

static const struct guid OURS = {0x57654674, 0x0001, 0x4000, {0x80, 0, 0, 0, 0, 0, 0, 1}};
static const letter NAME[] = u"Boots";

static void say(const struct system *system, const letter *text) { system->output->write(system->output, text); }

static void say_number(const struct system *system, uint32_t number)
{
	letter digits[11], *at = &digits[10];
	*at = 0;
	do {
		*--at = (letter)(u'0' + number % 10);
	} while ((number /= 10) != 0);
	say(system, at);
}

static letter read(const struct system *system)
{
	struct key key;
	size_t which;
	while (system->input->read(system->input, &key) != 0)
		system->boot->wait(1, &system->input->event, &which);
	return key.typed;
}

/* Reads a line; whether it is `off`. */
static int is_told_off(const struct system *system)
{
	const letter *left = u"off";
	for (int same = 1;;) {
		letter typed[2] = {read(system), 0};
		if (typed[0] == u'\r') {
			say(system, u"\r\n");
			return same && *left == 0;
		}
		say(system, typed);
		same = same && *left != 0 && typed[0] == *left++;
	}
}

status EFI start(void *image, const struct system *system)
{
	uint32_t boots = 0;
	size_t size = sizeof boots;
	(void)image;
	if (system->runtime->get(NAME, &OURS, NULL, &size, &boots) != 0)
		boots = 0;
	boots++;
	if (system->runtime->set(NAME, &OURS, NON_VOLATILE | BOOT_SERVICE, sizeof boots, &boots) != 0)
		say(system, u"\r\nno variable could be set");
	say(system, u"\r\nboots: ");
	say_number(system, boots);
	say(system, u"\r\nready\r\n% ");
	while (!is_told_off(system))
		say(system, u"% ");
	system->runtime->reset(SHUTDOWN, 0, 0, NULL);
	return 0;
}
