"""One script per promise: `make bench NAME=splice` prints one JSON object. Weft itself may not import this."""
