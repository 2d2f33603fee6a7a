/* Names as they stand in an archive, made harmless. Pure. */
#pragma once

/* Drops a leading `/`, and `.` and `..` everywhere; what is left, or "." when nothing is. `out` has room for as much as `name`
 * is long, and at least for ".". */
void clean_name(char *out, const char *name);
