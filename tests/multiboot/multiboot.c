/* What a multiboot loader tells (multiboot specification 0.6.96, section 3.3). */
#include "kernel.h"

enum {
	LOADED_BY_MULTIBOOT = 0x2BADB002,
	HAS_COMMAND_LINE = 1 << 2,
	HAS_MODULES = 1 << 3,
	HAS_MEMORY_MAP = 1 << 6,
	RAM = 1,
};

struct info {
	uint32_t flags, memory_below, memory_above, boot_device;
	const char *command_line;
	uint32_t module_count;
	const struct module *modules;
	uint32_t symbols[4];
	uint32_t map_length;
	const char *map;
};

struct module {
	const char *start, *end, *name;
	uint32_t reserved;
};

/* `size` does not count itself. */
struct range {
	uint32_t size, base, base_high, length, length_high, kind;
};

static void show_modules(const struct info *info)
{
	for (uint32_t i = 0; i < info->module_count; i++) {
		const struct module *module = &info->modules[i];
		say("module %u: %u bytes, %s\n", i + 1, (uint32_t)(module->end - module->start),
		    module->name ? module->name : "");
	}
}

/* 9front's protocol: the first module is plan9.ini. */
static void read_ini(const struct module *module)
{
	say("plan9.ini:\n");
	for (const char *at = module->start; at < module->end && *at; at++)
		serial_put(*at);
	say("end of plan9.ini\n");
	config_add(module->start, (size_t)(module->end - module->start));
}

static void show_memory(const struct info *info)
{
	uint32_t kilobytes = 0;
	for (const char *at = info->map; at < info->map + info->map_length;) {
		const struct range *range = (const struct range *)at;
		say("memory: %08x%08x %08x%08x %s\n", range->base_high, range->base, range->length_high, range->length,
		    range->kind == RAM ? "ram" : "reserved");
		if (range->kind == RAM)
			kilobytes += range->length >> 10 | range->length_high << 22;
		at += range->size + sizeof range->size;
	}
	say("memory: %u KB of ram\n", kilobytes);
}

void multiboot_read(uint32_t magic, uint32_t address)
{
	const struct info *info = (const struct info *)address;

	if (magic != LOADED_BY_MULTIBOOT) {
		say("not loaded by multiboot: %08x\n", magic);
		return;
	}
	if (info->flags & HAS_MEMORY_MAP)
		show_memory(info);
	if (info->flags & HAS_MODULES) {
		show_modules(info);
		if (info->module_count)
			read_ini(&info->modules[0]);
	}
	if (info->flags & HAS_COMMAND_LINE) {
		say("command line: %s\n", info->command_line);
		config_add_words(info->command_line);
	}
}
