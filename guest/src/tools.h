/* Programs inside the init, for images that have none. See docs/agent-protocol.md, "Builtins". */
#pragma once

#include <stdbool.h>

enum { TOOL_OK = 0, TOOL_INCOMPLETE = 1, TOOL_FAILED = 2 };

bool tool_exists(const char *name);

/* argv[0] is the tool's name. Returns its exit status. */
int tool_run(int argc, char **argv);

/* One line on standard error, `NAME: WHAT: why errno`. */
void tool_complain(const char *what);
void tool_complain_why(const char *what, const char *why);

int tool_commit(int argc, char **argv);
int tool_cpus(int argc, char **argv);
int tool_event(int argc, char **argv);
int tool_hostname(int argc, char **argv);
int tool_kernel_log(int argc, char **argv);
int tool_probe(int argc, char **argv);
int tool_processes(int argc, char **argv);
int tool_stat(int argc, char **argv);
int tool_tar_create(int argc, char **argv);
int tool_tar_extract(int argc, char **argv);
