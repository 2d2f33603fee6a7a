/* What a held machine can do of becoming somebody without becoming it. */
#pragma once

/* Under emulation, code takes longest when it runs for the first time: a copy that is kept ready has run most of it, and
 * is what it was. Nothing is sent. */
void rehearse(void);
