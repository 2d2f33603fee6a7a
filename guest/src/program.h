/* A program that init itself keeps: started, watched, started again as its policy says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"
#include "pollset.h"
#include "spawn.h"

enum program_state {
	PROGRAM_NEW,
	PROGRAM_RUNNING,
	PROGRAM_WAITING, /* to be started again */
	PROGRAM_ENDED,
};

struct program {
	struct spawn how;
	enum restart restart;
	bool bounded;
	uint32_t most_restarts; /* if bounded */
	enum program_state state;
	pid_t pid;
	uint32_t restarts;
	bool has_ended;
	int wait_status; /* of the last end */
	char reason[sizeof((struct spawn_report *)0)->text]; /* why it could not be started; else empty */
	int report;
	int64_t pause_ms, started_ms, again_ms;
};

void program_start(struct program *program);

/* Whether it was this one that ended. `final`: it is not started again. */
bool program_child_ended(struct program *program, pid_t pid, int wait_status, bool final);

void program_poll(const struct program *program, struct pollset *set);

/* Starts it again when it is time. Whether it did. */
bool program_step(struct program *program);
