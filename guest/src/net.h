/* Interfaces: found by MAC address, named, addressed, brought up. */
#pragma once

#include "config.h"

/* What all machines have: the loopback interface. */
void set_up_loopback(void);

/* Ends the machine when a NIC is not there or cannot be set up as the configuration says. */
void set_up_network(const struct config *config);

/* Makes the NICs of a machine that runs those of the copy that it is: found by what they were, with new addresses. */
void renew_network(const struct config *config);
