/* What a host asks for within a session, one frame each. */
#pragma once

#include <stdint.h>

#include "frame.h"

/* There must be room for an answer. Kinds we do not know are passed over: they belong to a later minor version. */
void request_serve(const struct frame *frame);

/* An answer: it is not done, with an errno and why. */
void request_refuse(uint16_t stream, int code, const char *text);
