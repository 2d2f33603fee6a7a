"""From a room as it is to a room as it is wanted: ordered actions, each with its reason and what has to be done before.

Pure. What a file names is made as the file says; what a file named once and names no more is removed; what no file ever
named is somebody's own work, and left alone.
"""
