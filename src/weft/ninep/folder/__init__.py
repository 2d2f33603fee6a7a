"""A directory of the host as a tree of files: served to whoever may attach, with the rights of the server's own user.

Files and directories are served. What else there may be, links, devices, pipes and sockets, is not there for clients.
Why it is built this way: docs/decisions/0042-folders-over-9p.md.
"""

from weft.ninep.folder.tree import FolderTree

__all__ = ["FolderTree"]
