/* The fields of one line of the configuration, taken from the left and decoded in place. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct line {
	char *rest; /* NULL: nothing is left, not even an empty field */
};

/* The next space-separated field; NULL when there is none or it is badly encoded. */
char *take_field(struct line *line);

/* Like take_field, but an empty field counts as missing. */
char *take_word(struct line *line);

/* Cuts NAME=VALUE in two and returns the value, or NULL. */
char *split_option(char *field);

bool parse_number(const char *text, uint32_t limit, uint32_t *out);
bool parse_mac(const char *text, uint8_t mac[6]);
