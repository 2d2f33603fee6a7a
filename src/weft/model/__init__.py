"""Plain data: specs, status, units, names and errors. No input or output, no clock, no other package of Weft."""
