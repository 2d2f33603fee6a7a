"""The command line: arguments in, text out. Talks to the daemon only through the client."""
