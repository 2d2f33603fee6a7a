"""The host end of the agent: what a machine is told at boot and what it says afterwards. Knows no fabric."""
