/* What a copy of a machine that runs does to be somebody else: its identity, then what the image has for that. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "config.h"
#include "gather.h"
#include "pollset.h"

/* Begins; what is told stays the caller's. False: it makes no sense, and *why says so. */
bool become_begin(struct told *told, char *const *env, const char **why);

/* What all copies do first: new random numbers, and the time. The seed is forgotten. */
void become_fresh(struct told *told);

bool become_is_going_on(void);

/* Sends the host what went wrong in hooks and with keys, once. */
void become_send_news(void);

void become_child_ended(pid_t pid, int wait_status);
void become_step(void);
void become_poll(struct pollset *set);
