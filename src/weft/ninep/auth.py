"""Proving who one is: a secret that both sides have, and an authentication file (attach(5), `afid`).

The file is lines of text. A client reads the server's challenge, writes its own with its proof, and reads the
server's:

    server   weft-hmac-sha256 CHALLENGE
    client   CHALLENGE PROOF
    server   PROOF

Challenges are 32 random bytes, proofs HMAC-SHA256 with the secret; both in hexadecimal digits. What a proof is of says
whose it is, and holds both challenges, the user and the part of the tree that is attached to; so it is worth nothing
for another.
"""

import hashlib
import hmac
import secrets
from typing import Protocol

from weft.ninep.tree import Node, OpenFile
from weft.ninep.words import BAD_OFFSET, Mode, NinepError, OpenMode, Qid, QidType, Stat

SCHEME = "weft-hmac-sha256"
_CHALLENGE_BYTES = 32
FAILED = "authentication failed"


class Auth(Protocol):
    """How a server has its clients prove who they are."""

    def begin(self, user: str, aname: str) -> "AuthFile":
        """The file in which a user proves it, for one part of the tree."""


class AuthFile(OpenFile):
    """What an afid has open."""

    def has_proved(self, user: str, aname: str) -> bool:
        """Whether who wrote it is this user, and may attach to this part."""
        raise NotImplementedError


class SharedSecret:
    """Whoever has the secret is who he says he is."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def begin(self, user: str, aname: str) -> AuthFile:
        return _SecretFile(self._secret, user, aname)


def make_challenge() -> str:
    return secrets.token_hex(_CHALLENGE_BYTES)


def prove(secret: bytes, side: str, challenges: tuple[str, str], user: str, aname: str) -> str:
    """The proof of one side (`client`, `server`); `challenges` are the server's and the client's."""
    words = "\0".join((SCHEME, side, *challenges, user, aname))
    return hmac.new(secret, words.encode(), hashlib.sha256).hexdigest()


class _SecretFile(AuthFile):
    """One try."""

    def __init__(self, secret: bytes, user: str, aname: str) -> None:
        super().__init__(_AuthNode())
        self._secret, self._user, self._aname = secret, user, aname
        self._challenge = make_challenge()
        self._says = f"{SCHEME} {self._challenge}\n"
        self._tried = self._proved = False

    def has_proved(self, user: str, aname: str) -> bool:
        return self._proved and (user, aname) == (self._user, self._aname)

    async def read(self, offset: int, count: int) -> bytes:
        """What is to be read next, from its beginning."""
        return self._says.encode()[offset : offset + count]

    async def write(self, offset: int, data: bytes) -> int:
        """The client's line, in one write, once."""
        if offset:
            raise NinepError(BAD_OFFSET)
        theirs, proof = self._parse(data)
        if self._tried or not self._holds(theirs, proof):
            self._tried = True
            raise NinepError(FAILED)
        self._tried = self._proved = True
        self._says = self._prove("server", theirs) + "\n"
        return len(data)

    def _parse(self, data: bytes) -> tuple[str, str]:
        words = data[:1024].decode("ascii", "replace").split()
        if len(words) != 2:
            raise NinepError(f"{FAILED}: CHALLENGE PROOF is what is to be written")
        return words[0], words[1]

    def _holds(self, theirs: str, proof: str) -> bool:
        long_enough = len(theirs) == 2 * _CHALLENGE_BYTES
        return hmac.compare_digest(self._prove("client", theirs).encode(), proof.encode()) and long_enough

    def _prove(self, side: str, theirs: str) -> str:
        return prove(self._secret, side, (self._challenge, theirs), self._user, self._aname)


class _AuthNode(Node):
    """What an authentication file is as a file: nothing that could be walked to."""

    def __init__(self) -> None:
        self._qid = Qid(QidType.AUTH, 0, secrets.randbits(63))

    @property
    def qid(self) -> Qid:
        return self._qid

    async def stat(self) -> Stat:
        return Stat(self._qid, Mode.AUTH | 0o600, "auth")

    async def open(self, mode: OpenMode) -> OpenFile:
        raise NinepError("fid is open")
