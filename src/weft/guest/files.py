"""What the agent's `stat` says of a file. No input or output; see docs/agent-protocol.md, Builtins."""

from urllib.parse import unquote_to_bytes

from weft.model.errors import Unavailable
from weft.model.files import FileKind, FileView

_KINDS = {"file": FileKind.FILE, "folder": FileKind.FOLDER, "link": FileKind.LINK}


def parse_stat(path: str, text: bytes) -> FileView:
    """Raises Unavailable for what the agent cannot have said."""
    fields = dict(line.partition(b" ")[::2] for line in text.splitlines())
    try:
        return FileView(
            path=path,
            kind=_parse_kind(fields[b"type"]),
            size=int(fields[b"size"]),
            mode=int(fields[b"mode"], 8),
            uid=int(fields[b"uid"]),
            gid=int(fields[b"gid"]),
            mtime=int(fields[b"mtime_ns"]) / 1e9,
            target=_parse_name(fields.get(b"target")),
            real=_parse_name(fields.get(b"real")),
            real_kind=_parse_kind(fields[b"real_type"]) if b"real_type" in fields else None,
        )
    except (KeyError, ValueError) as err:
        hint = "the machine's agent is broken or hostile"
        raise Unavailable(f"what the machine says of {path} makes no sense", hint=hint) from err


def _parse_kind(word: bytes) -> FileKind:
    return _KINDS.get(word.decode(errors="replace"), FileKind.OTHER)


def _parse_name(text: bytes | None) -> str | None:
    """Bytes that are no UTF-8 are replaced: JSON has no room for them."""
    return None if text is None else unquote_to_bytes(text).decode(errors="replace")
