/* A wire: what comes in at one NIC leaves at the other, untouched. See docs/decisions/0002-wire.md. */
#pragma once

/* Both NICs must be up. Ends the machine when the kernel cannot do it: a wire that loses frames is worse than none. */
void connect_wire(const char *a, const char *b);

/* Connects the loopback interface with itself for a moment. */
void rehearse_wire(void);
