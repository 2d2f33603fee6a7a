"""A small root for Plan 9 machines."""

import io
import tarfile


def make_root() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in (("lib/hello", "hello from the image\n"), ("lib/old", "old\n")):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname = len(text), 0o664, "glenda"
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()
