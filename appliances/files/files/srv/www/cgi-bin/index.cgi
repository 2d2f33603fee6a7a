#!/bin/sh
# The names of all files, a line each; whatever folder was asked for.
printf 'Content-Type: text/plain\r\n\r\n'
ls /srv/files
