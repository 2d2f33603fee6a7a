"""HTTP and JSON on a unix socket. Translates requests; decides nothing."""
