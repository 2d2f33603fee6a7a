"""The fabric as a tree of files: a face like the command line, that decides nothing and knows the API alone."""
