/* What the files of the configuration's parser share: one function for each key, and how they say no. */
#pragma once

#include "config.h"
#include "fields.h"

/* Always false: the reason is in config->error then. `what` may be NULL. */
bool config_fail(struct config *config, const char *why, const char *what);

/* Adds `value` to a list that holds `limit` at most; NULL is a value that was missing or badly encoded. */
bool config_append(struct config *config, char **list, int *count, int limit, char *value);
bool config_set_once(struct config *config, char **where, struct line *line);

/* The value `yes`, once. */
bool config_set_flag(struct config *config, bool *flag, struct line *line);

/* Bytes, or a percentage of memory. */
bool config_is_size(const char *text);

/* Absolute, not `/` itself, and without `..`. */
bool config_is_path(const char *text);

bool key_arg(struct config *config, struct line *line);
bool key_cwd(struct config *config, struct line *line);
bool key_dns(struct config *config, struct line *line);
bool key_env(struct config *config, struct line *line);
bool key_file(struct config *config, struct line *line);
bool key_forkedfrom(struct config *config, struct line *line);
bool key_host(struct config *config, struct line *line);
bool key_hostname(struct config *config, struct line *line);
bool key_machineid(struct config *config, struct line *line);
bool key_mount(struct config *config, struct line *line);
bool key_nic(struct config *config, struct line *line);
bool key_overlay(struct config *config, struct line *line);
bool key_readonly(struct config *config, struct line *line);
bool key_restart(struct config *config, struct line *line);
bool key_restarts(struct config *config, struct line *line);
bool key_root(struct config *config, struct line *line);
bool key_sarg(struct config *config, struct line *line);
bool key_search(struct config *config, struct line *line);
bool key_senv(struct config *config, struct line *line);
bool key_service(struct config *config, struct line *line);
bool key_stop(struct config *config, struct line *line);
bool key_sysctl(struct config *config, struct line *line);
bool key_template(struct config *config, struct line *line);
bool key_user(struct config *config, struct line *line);
bool key_wire(struct config *config, struct line *line);

/* After the last line: every `after` names a service, none waits for itself, and each has a program. */
bool services_are_whole(struct config *config);
