"""Extended headers of a tar (POSIX pax): records `LENGTH KEY=VALUE\\n` that correct what the plain header says."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from weft.image.flatten.limits import MAX_XATTR
from weft.image.flatten.members import Member, show
from weft.model.errors import Invalid

_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."
_TEXTS = {b"path": "name", b"linkpath": "target", b"uname": "user", b"gname": "group"}


@dataclass(slots=True)
class Pax:
    """What an extended header says of the member behind it; `sparse` has the keys after `GNU.sparse.`."""

    name: bytes = b""
    target: bytes = b""
    user: bytes = b""
    group: bytes = b""
    numbers: dict[bytes, int] = field(default_factory=dict)
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    sparse: dict[bytes, bytes] = field(default_factory=dict)

    def apply(self, member: Member) -> None:
        """Correct what the plain header says."""
        member.name = self.sparse.get(b"name") or self.name or member.name
        member.target = self.target or member.target
        member.user = self.user or member.user
        member.group = self.group or member.group
        member.xattrs = self.xattrs or None
        numbers = self.numbers
        member.size = numbers.get(b"size", member.size)
        member.uid = numbers.get(b"uid", member.uid)
        member.gid = numbers.get(b"gid", member.gid)
        member.mtime = numbers.get(b"mtime", member.mtime)


def parse_pax(content: bytes) -> Pax:
    """One extended header. Of a key that comes twice the last counts. Raises Invalid when it is malformed."""
    pax = Pax()
    for key, value in _read_records(content):
        if key.startswith(_XATTR):
            _add_xattr(pax, key[len(_XATTR) :], value)
        elif key.startswith(_SPARSE):
            _add_sparse(pax, key[len(_SPARSE) :], value)
        elif key in _TEXTS:
            if b"\0" in value:
                raise Invalid(f"an extended header of the tar has a NUL in its {key.decode()}")
            setattr(pax, _TEXTS[key], value)
        elif key in (b"size", b"uid", b"gid", b"mtime") and value:
            # Of times only whole seconds are kept: squashfs has no more.
            pax.numbers[key] = parse_decimal(value.partition(b".")[0] if key == b"mtime" else value)
    return pax


def _read_records(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start < len(content):
        space = content.find(b" ", start, start + 20)
        end = start + parse_decimal(content[start:space]) if space > 0 else 0
        equals = content.find(b"=", space, end)
        if not start < end <= len(content) or content[end - 1 : end] != b"\n" or equals <= space + 1:
            raise Invalid("an extended header of the tar is malformed")
        yield content[space + 1 : equals], content[equals + 1 : end - 1]
        start = end


def _add_xattr(pax: Pax, name: bytes, value: bytes) -> None:
    if not name or len(name) > 255 or b"\0" in name or len(value) > MAX_XATTR:
        raise Invalid(f"the extended attribute {show(name[:255])!r} has no possible name, or is too large")
    pax.xattrs[name] = value


def _add_sparse(pax: Pax, key: bytes, value: bytes) -> None:
    """Format 0.0 has one record for each number; they are put together to the list that format 0.1 has."""
    if key in (b"offset", b"numbytes"):
        before = pax.sparse.get(b"map")
        pax.sparse[b"map"] = value if before is None else before + b"," + value
    else:
        pax.sparse[key] = value


def parse_decimal(text: bytes) -> int:
    """A whole number. Raises Invalid for anything else."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or len(digits) > 20:
        raise Invalid(f"a number in an extended header of the tar is wrong: {show(text[:32])!r}")
    return int(text)
