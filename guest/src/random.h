/* The kernel's random numbers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens what random_renew() needs, so that it is done already when time counts. */
void random_prepare(void);

/* Mixes bytes that nobody else has into the pool, and has every generator begin anew from it. False: errno says why. */
bool random_renew(const uint8_t *seed, size_t length);
