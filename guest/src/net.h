/* Interfaces: found by MAC address, named, addressed, brought up. */
#pragma once

#include "config.h"

/* Ends the machine when a NIC is not there or cannot be set up as the configuration says. */
void set_up_network(const struct config *config);
