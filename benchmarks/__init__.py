"""One script per promise: `make bench NAME=splice` prints one JSON object. Nothing in the package itself may import this."""
