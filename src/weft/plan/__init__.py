"""Pure decisions: plain values in, actions out. No input or output, no clock, no randomness."""
