"""The framework of the fabric's files: directories, texts, commands, streams, and the words of commands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ninep_wire import PATIENCE

from weft.filetree.files import LONGEST, commands, text
from weft.filetree.grammar import Grammar
from weft.filetree.nodes import CHANGE, Entry, Fixed, Listed, Make
from weft.filetree.pipes import LIMIT, Pipe
from weft.filetree.streams import stream
from weft.filetree.words import dump_pair, dump_row, join_words, split_words
from weft.ninep.tree import OpenDir, OpenFile
from weft.ninep.words import Access, Mode, NinepError, OpenMode, StatChange

READS, WRITES, BOTH = OpenMode(Access.READ), OpenMode(Access.WRITE), OpenMode(Access.READ_WRITE)


def folder(**makes: Make) -> Fixed:
    return Fixed(None, "/", makes)


async def hello() -> str:
    return "hello\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_words_come_back(words: list[str]) -> None:
    assert split_words(join_words(words)) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  start \n", ["start"]),
        ("a 'b c'", ["a", "b c"]),
        ("it''s 'it''s'", ["its", "it's"]),
        ("x='a b'c", ["x=a bc"]),
        ("''", [""]),
        ("# name web", []),
        ("a#b", ["a#b"]),
    ],
)
def test_words_are_those_of_plan_9(line: str, words: list[str]) -> None:
    assert split_words(line) == words


def test_a_quote_without_an_end() -> None:
    with pytest.raises(NinepError, match="a quote has no end"):
        split_words("name 'web")


def test_rows_have_fixed_columns() -> None:
    assert dump_row(["web", 64, None, "x y"]) == f"{'web':<28} {'64':>11} {'-':<28} 'x y'\n"


@pytest.mark.parametrize(
    ("value", "pair"), [("x y", "k=x y"), (["a", 1], "k=a,1"), ([], "k="), (None, "k=null"), (2, "k=2")]
)
def test_pairs(value: object, pair: str) -> None:
    assert dump_pair("k", value) == pair


async def test_walking() -> None:
    root = folder(a=lambda parent, name: Fixed(parent, name, {"b": text(hello)}))
    a = await root.walk("a")
    b = await a.walk("b")
    assert (await a.walk("..")).qid == root.qid
    assert (await root.walk("..")).qid == root.qid
    assert (await (await root.walk("a")).walk("b")).qid == b.qid
    assert len({root.qid.path, a.qid.path, b.qid.path}) == 3
    with pytest.raises(NinepError, match="file does not exist"):
        await root.walk("c")
    with pytest.raises(NinepError, match="not a directory"):
        await b.walk("c")


async def test_a_part_is_a_root_of_its_own_with_the_same_qids() -> None:
    root = folder(a=lambda parent, name: Fixed(parent, name, {"b": text(hello)}))
    a = await root.walk("a")
    assert isinstance(a, Entry)
    before = a.qid, (await a.walk("b")).qid
    a.uproot()
    assert (a.qid, (await a.walk("b")).qid) == before
    assert await a.walk("..") is a
    assert (await a.stat()).name == "/"


async def test_what_is_listed() -> None:
    names = ["web", "db"]

    async def ask() -> list[str]:
        return names

    things = Listed(None, "/", ask, lambda parent, name: Fixed(parent, name, {}), {"clone": text(hello)}, CHANGE)
    opened = await things.open(READS)
    assert isinstance(opened, OpenDir)
    stats = await opened.entries()
    assert [(stat.name, stat.qid.is_dir) for stat in stats] == [("clone", False), ("db", True), ("web", True)]
    assert (await things.stat()).mode == Mode.DIR | 0o700
    names.remove("web")
    with pytest.raises(NinepError):
        await things.walk("web")


async def test_a_text_stays_what_it_was_when_it_was_opened() -> None:
    content = ["one\n"]

    async def show() -> str:
        return content[0]

    file = await folder(t=text(show)).walk("t")
    opened = await file.open(READS)
    content[0] = "two\n"
    assert await opened.read(0, 2) + await opened.read(2, 100) == b"one\n"
    assert await opened.read(4, 100) == b""
    assert (await file.stat()).mode == 0o400
    emptying, removing = OpenMode(Access.READ, truncate=True), OpenMode(Access.READ, remove_on_close=True)
    for mode in (WRITES, BOTH, OpenMode(Access.EXEC), emptying, removing):
        with pytest.raises(NinepError, match="permission denied"):
            await file.open(mode)


async def test_a_text_that_is_written_is_saved_as_a_whole() -> None:
    saved: list[str] = []

    async def save(content: str) -> None:
        saved.append(content)

    opened = await (await folder(t=text(hello, save)).walk("t")).open(OpenMode(Access.WRITE, truncate=True))
    assert await opened.write(0, b"a = 1\n") == 6
    assert await opened.write(6, b"b = 2\n") == 6
    assert saved == ["a = 1\n", "a = 1\nb = 2\n"]


async def test_a_text_has_a_longest() -> None:
    async def save(_content: str) -> None: ...

    opened = await (await folder(t=text(hello, save)).walk("t")).open(WRITES)
    for offset in (LONGEST, 1 << 62):
        with pytest.raises(NinepError, match="no-room: a text has at most"):
            await opened.write(offset, b"x")


async def test_commands_one_a_line() -> None:
    ran: list[list[str]] = []

    async def run(words: list[str]) -> None:
        if words[0] == "bad":
            raise NinepError("invalid: bad")
        ran.append(words)

    file = await folder(ctl=commands(run)).walk("ctl")
    opened = await file.open(WRITES)
    assert await opened.write(0, b"start") == 5
    assert await opened.write(5, b"# a remark's\n\nname 'a\nb'\n") > 0
    with pytest.raises(NinepError, match="invalid: bad"):
        await opened.write(0, b"one\nbad\ntwo\n")
    assert ran == [["start"], ["name", "a\nb"], ["one"]]
    with pytest.raises(NinepError, match="UTF-8"):
        await opened.write(0, b"\xff")
    with pytest.raises(NinepError, match="permission denied"):
        await file.open(READS)


async def test_what_opening_for_writing_does_on_linux_is_let_pass() -> None:
    async def run(_words: list[str]) -> None: ...

    file = await folder(ctl=commands(run, hello)).walk("ctl")
    await file.wstat(StatChange(length=0))
    await file.wstat(StatChange(length=0, mtime=5))
    await file.wstat(StatChange())
    for change in (StatChange(length=1), StatChange(name="x"), StatChange(mode=0o777)):
        with pytest.raises(NinepError, match="permission denied"):
            await file.wstat(change)


class Coming:
    """A source that gives what a test puts into it."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.open = False

    @asynccontextmanager
    async def source(self) -> AsyncIterator[AsyncIterator[bytes]]:
        self.open = True
        try:
            yield self._all()
        finally:
            self.open = False

    async def _all(self) -> AsyncIterator[bytes]:
        while (piece := await self.pieces.get()) is not None:
            if piece == b"!":
                raise NinepError("unavailable: gone")
            yield piece


async def test_a_stream_gives_whole_lines_and_loses_nothing_to_a_flush() -> None:
    coming = Coming()
    opened = await (await folder(s=stream(coming.source, lines=True)).walk("s")).open(READS)
    assert coming.open
    reading = asyncio.create_task(opened.read(0, 100))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    coming.pieces.put_nowait(b"one\ntw")
    assert await opened.read(0, 100) == b"one\n"
    coming.pieces.put_nowait(b"o\nthree\n")
    assert await opened.read(0, 5) == b"two\n"
    assert await opened.read(0, 3) == b"thr", "a line that does not fit comes in parts"
    assert await opened.read(0, 100) == b"ee\n"
    coming.pieces.put_nowait(None)
    assert await opened.read(0, 100) == b""
    assert await opened.read(0, 100) == b""
    await opened.close()
    assert not coming.open


async def read_on(file: OpenFile, count: int) -> bytes:
    """What a program gets that asks Linux for so many bytes."""
    got = b""
    while len(got) < count and (piece := await asyncio.wait_for(file.read(len(got), count - len(got)), PATIENCE)):
        got += piece
    return got


@pytest.mark.parametrize("lines", [True, False])
async def test_who_reads_on_gets_what_there_is(lines: bool) -> None:
    """However much a program asks for, it waits for nothing behind what has come, and is at no end before the end."""
    root = folder(s=stream((coming := Coming()).source, lines=lines))
    root.uproot(reads_on=True)
    opened = await (await root.walk("s")).open(READS)
    for count in (1000, 9, 8, 7, 3, 2, 1):
        coming.pieces.put_nowait(b"a line\nabc\n")
        got = [await read_on(opened, count)]
        while not b"".join(got).endswith(b"c\n"):
            got.append(await read_on(opened, count))
        assert b"".join(got) == b"a line\nabc\n"
        assert not lines or count < 8 or got == [b"a line\n", b"abc\n"]
    coming.pieces.put_nowait(None)
    assert await read_on(opened, 100) == b""
    assert await read_on(opened, 1) == b""
    await opened.close()


async def test_a_flush_leaves_who_reads_on_where_he_is() -> None:
    root = folder(s=stream((coming := Coming()).source))
    root.uproot(reads_on=True)
    opened = await (await root.walk("s")).open(READS)
    for _ in range(3):
        reading = asyncio.create_task(opened.read(0, 100))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        coming.pieces.put_nowait(b"some")
        assert await read_on(opened, 100) == b"some"
    await opened.close()


async def test_a_stream_that_breaks() -> None:
    coming = Coming()
    opened = await (await folder(s=stream(coming.source)).walk("s")).open(READS)
    for piece in (b"some", b"!"):
        coming.pieces.put_nowait(piece)
    assert await opened.read(0, 2) == b"so"
    assert await opened.read(0, 9) == b"me"
    for _ in range(2):
        with pytest.raises(NinepError, match="unavailable: gone"):
            await opened.read(0, 9)
    await opened.close()


async def test_a_pipe_waits_for_its_reader() -> None:
    pipe = Pipe()
    await pipe.put(b"x" * LIMIT)
    more = asyncio.create_task(pipe.put(b"y"))
    await asyncio.sleep(0)
    assert not more.done()
    assert await pipe.take(LIMIT) == b"x" * LIMIT
    await more
    await pipe.close()
    assert await pipe.take(5) == b"y"
    assert await pipe.take(5) == b""
    await pipe.put(b"late")


@pytest.mark.parametrize(
    ("usage", "words", "found"),
    [
        ("", [], {}),
        ("[now] [n=N]", ["n=3"], {"now": False, "n": 3}),
        ("[now] [n=N]", ["now"], {"now": True, "n": None}),
        ("NAME [OTHER]", ["a"], {"name": "a", "other": None}),
        ("KEY VALUES...", ["a", "b=1", "c"], {"key": "a", "values": ("b=1", "c")}),
        ("[t=SECONDS] [m=SIZE]", ["m=64M", "t=1m"], {"t": 60.0, "m": 64 << 20}),
        ("[mode=a|b]", ["mode=b"], {"mode": "b"}),
    ],
)
def test_grammars(usage: str, words: list[str], found: dict[str, object]) -> None:
    assert Grammar("do", usage).read(words) == found


@pytest.mark.parametrize(
    ("usage", "words", "text"),
    [
        ("NAME", [], "invalid: usage: do NAME"),
        ("KEYS...", [], "invalid: usage: do KEYS..."),
        ("", ["x"], "invalid: 'x' is too much; usage: do"),
        ("[n=N]", ["n=x"], "invalid: 'x' is not a number"),
        ("[n=N]", ["n=" + "9" * 5000], "invalid: n: "),
        ("[mode=a|b]", ["mode=c"], "invalid: mode is a or b, not 'c'"),
        ("[t=SECONDS]", ["t=soon"], "invalid: t: "),
    ],
)
def test_what_does_not_fit_a_grammar(usage: str, words: list[str], text: str) -> None:
    with pytest.raises(NinepError) as caught:
        Grammar("do", usage).read(words)
    assert caught.value.text.startswith(text)
