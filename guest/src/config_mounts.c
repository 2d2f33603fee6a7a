/* Keys of file systems and files. */
#include <string.h>

#include "config_keys.h"

bool key_root(struct config *config, struct line *line)
{
	if (config->root_serial)
		return config_fail(config, "given twice", NULL);
	for (char *field; line->rest;) {
		if (!(field = take_word(line)))
			return config_fail(config, "an option is empty or badly encoded", NULL);
		char *value = split_option(field);
		if (value && *value && !strcmp(field, "serial"))
			config->root_serial = value;
		else if (value && *value && !strcmp(field, "type"))
			config->root_type = value;
		else
			return config_fail(config, "unknown option", field);
	}
	return (config->root_serial && config->root_type) || config_fail(config, "needs serial= and type=", NULL);
}

bool key_overlay(struct config *config, struct line *line)
{
	char *field = take_word(line);
	char *value = field ? split_option(field) : NULL;
	if (!value || strcmp(field, "size") != 0 || config->overlay_size)
		return config_fail(config, "needs size= once", field);
	if (!config_is_size(value))
		return config_fail(config, "size is neither bytes nor a percentage", value);
	config->overlay_size = value;
	return true;
}


bool key_readonly(struct config *config, struct line *line)
{
	return config_set_flag(config, &config->read_only, line);
}

static bool is_folder_name(const char *text)
{
	return *text && !strchr(text, '/') && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static bool mount_value(struct mount_entry *entry, const char *name, char *value)
{
	if (!strcmp(name, "serial"))
		return *(entry->serial = value);
	if (!strcmp(name, "tag"))
		return *(entry->tag = value);
	if (!strcmp(name, "type"))
		return *(entry->type = value);
	if (!strcmp(name, "at"))
		return config_is_path(entry->at = value);
	if (!strcmp(name, "sub"))
		return is_folder_name(entry->sub = value);
	if (!strcmp(name, "size"))
		return config_is_size(entry->size = value);
	return false;
}

static bool mount_option(struct config *config, struct mount_entry *entry, char *field)
{
	if (!strcmp(field, "ro"))
		return entry->read_only = true;
	if (!strcmp(field, "copy"))
		return entry->copy = true;
	char *value = split_option(field);
	return (value && mount_value(entry, field, value)) || config_fail(config, "unknown option, or a wrong value", field);
}

/* Memory has no source, a folder of the host has a tag, and everything else is on a block device. */
static bool mount_is_whole(struct config *config, const struct mount_entry *entry)
{
	if (!entry->at || !entry->type)
		return config_fail(config, "needs at= and type=", NULL);
	bool memory = !strcmp(entry->type, "tmpfs");
	bool host = !strcmp(entry->type, "9p") || !strcmp(entry->type, "virtiofs");
	if (!entry->tag != !host || !entry->serial != (memory || host))
		return config_fail(config, "tmpfs has no source, 9p and virtiofs need tag=, others serial=", entry->type);
	if ((entry->size && !memory) || (entry->sub && (memory || host)) || (entry->copy && host))
		return config_fail(config, "an option that this type does not have", entry->type);
	return true;
}

bool key_mount(struct config *config, struct line *line)
{
	if (config->mount_count >= CONFIG_MAX_MOUNTS)
		return config_fail(config, "too many of these", NULL);
	struct mount_entry *entry = &config->mounts[config->mount_count];
	while (line->rest) {
		char *field = take_word(line);
		if (!field)
			return config_fail(config, "an option is empty or badly encoded", NULL);
		if (!mount_option(config, entry, field))
			return false;
	}
	config->mount_count++;
	return mount_is_whole(config, entry);
}

static bool parse_mode(const char *text, unsigned *mode)
{
	*mode = 0;
	if (strlen(text) != 4 || text[strspn(text, "01234567")])
		return false;
	for (; *text; text++)
		*mode = *mode * 8 + (unsigned)(*text - '0');
	return true;
}

bool key_file(struct config *config, struct line *line)
{
	if (config->file_count >= CONFIG_MAX_FILES)
		return config_fail(config, "too many of these", NULL);
	struct file_entry *file = &config->files[config->file_count];
	file->path = take_word(line);
	if (!file->path || !config_is_path(file->path) || file->path[strlen(file->path) - 1] == '/')
		return config_fail(config, "not the absolute path of a file", file->path);
	char *option = take_word(line), *mode = option ? split_option(option) : NULL;
	if (!mode || strcmp(option, "mode") != 0 || !parse_mode(mode, &file->mode))
		return config_fail(config, "needs mode= and four octal digits", mode);
	file->content = take_field(line);
	config->file_count++;
	return file->content || config_fail(config, "content is missing or badly encoded", NULL);
}
