"""Copy-on-write: a tree of files that many machines have in common, and over it what one of them has changed."""
