/* The parser of /weft.conf. Pure: no input or output, no allocation; it decodes the text in place. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "config_keys.h"

bool config_fail(struct config *config, const char *why, const char *what)
{
	snprintf(config->error, sizeof config->error, "%s%s%.60s", why, what ? ": " : "", what ? what : "");
	return false;
}

bool config_append(struct config *config, char **list, int *count, int limit, char *value)
{
	if (!value)
		return config_fail(config, "a value is missing or badly encoded", NULL);
	if (*count >= limit)
		return config_fail(config, "too many of these", NULL);
	list[(*count)++] = value;
	return true;
}

bool config_set_once(struct config *config, char **where, struct line *line)
{
	if (*where)
		return config_fail(config, "given twice", NULL);
	*where = take_word(line);
	return *where || config_fail(config, "a value is missing or badly encoded", NULL);
}

bool config_set_flag(struct config *config, bool *flag, struct line *line)
{
	char *value = take_word(line);
	if (!value || strcmp(value, "yes") != 0 || *flag)
		return config_fail(config, "needs yes, once", value);
	*flag = true;
	return true;
}

bool config_is_size(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	bool percent = text[digits] == '%' && !text[digits + 1];
	return digits && digits <= 15 && (!text[digits] || percent);
}

bool config_is_path(const char *text)
{
	if (*text != '/' || !text[strspn(text, "/")])
		return false;
	for (const char *at = text; (at = strstr(at, "/..")); at += 3)
		if (!at[3] || at[3] == '/')
			return false;
	return true;
}

static bool key_version(struct config *config, struct line *line)
{
	uint32_t version;
	char *text = take_word(line);
	if (!text || !parse_number(text, UINT32_MAX, &version))
		return config_fail(config, "not a version number", text);
	return version == CONFIG_VERSION ||
	       config_fail(config, "a configuration of another version than this init's", text);
}

static const struct {
	const char *name;
	bool (*parse)(struct config *config, struct line *line);
} keys[] = {
	{"arg", key_arg}, {"cwd", key_cwd}, {"dns", key_dns}, {"env", key_env},
	{"file", key_file}, {"forkedfrom", key_forkedfrom}, {"host", key_host}, {"hostname", key_hostname},
	{"machineid", key_machineid}, {"mount", key_mount}, {"nic", key_nic}, {"overlay", key_overlay},
	{"readonly", key_readonly}, {"restart", key_restart}, {"restarts", key_restarts}, {"root", key_root},
	{"sarg", key_sarg}, {"search", key_search}, {"senv", key_senv}, {"service", key_service},
	{"stop", key_stop}, {"sysctl", key_sysctl}, {"template", key_template}, {"user", key_user},
	{"version", key_version}, {"wire", key_wire},
};

static bool parse_line(struct config *config, char *text)
{
	struct line line = {strchr(text, ' ')};
	if (!line.rest)
		return config_fail(config, "not KEY VALUE", text);
	*line.rest++ = 0;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!strcmp(text, keys[i].name)) {
			if (!keys[i].parse(config, &line))
				return false;
			return !line.rest || config_fail(config, "something follows the value", text);
		}
	return config_fail(config, "unknown key", text);
}

/* Puts the line's number in front of what is wrong with it. */
static bool blame_line(struct config *config, int number)
{
	char why[CONFIG_ERROR_BYTES];
	memcpy(why, config->error, sizeof why);
	snprintf(config->error, sizeof config->error, "line %d: %.140s", number, why);
	return false;
}

bool config_parse(struct config *config, char *text, size_t length)
{
	memset(config, 0, sizeof *config);
	if (length > CONFIG_MAX_BYTES || memchr(text, 0, length))
		return config_fail(config, "too long, or not text", NULL);
	text[length] = 0;
	int number = 1;
	for (char *next; *text; text = next, number++) {
		char *end = strchr(text, '\n');
		next = end ? end + 1 : text + strlen(text);
		if (end)
			*end = 0;
		bool is_version = !strncmp(text, "version ", 8);
		if (is_version != (number == 1))
			return config_fail(config, "the first line, and only it, gives the version", NULL);
		if (!parse_line(config, text))
			return blame_line(config, number);
	}
	return (number > 1 || config_fail(config, "empty", NULL)) && services_are_whole(config);
}
