"""Pictures of chains, tables and ages: pure functions."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from weft.cli.doctor import find_missing
from weft.cli.links import draw_chain
from weft.cli.printing import dump_age, dump_cell, dump_memory, print_table, print_view
from weft.cli.progress import PlainProgress


def make_insert(name: str, mode: str = "inline", state: str = "active") -> dict[str, Any]:
    return {"name": name, "mode": mode, "state": state}


@pytest.mark.parametrize(
    ("chain", "drawing"),
    [
        ([], "net lan ── web"),
        ([make_insert("sniffer"), make_insert("firewall")], "net lan ── sniffer ── firewall ── web"),
        ([make_insert("tap", "copy")], "net lan ─┴─ tap[copy] ── web"),
        ([make_insert("tap", "copy", "starting")], "net lan ─┴─ tap[copy,starting] ── web"),
        ([make_insert("sniffer", state="bypassed")], "net lan ── sniffer[bypassed] ── web"),
        ([make_insert("fw", state="blocked")], "net lan ─✕─ fw[blocked] ─✕─ web"),
        ([make_insert("fw", state="blocked"), make_insert("s")], "net lan ─✕─ fw[blocked] ─✕─ s ── web"),
        ([make_insert("s"), make_insert("fw", state="blocked")], "net lan ── s ─✕─ fw[blocked] ─✕─ web"),
    ],
)
def test_chains(chain: list[dict[str, Any]], drawing: str) -> None:
    port = {"machine": "web", "nic": 0, "network": "lan", "state": "running", "chain": chain}
    assert draw_chain(port) == drawing


def test_the_machine_says_what_is_not_usual() -> None:
    port = {"machine": "web", "nic": 1, "network": "dmz", "state": "stopped", "chain": []}
    assert draw_chain(port) == "net dmz ── web:1 (stopped)"


def test_a_gateway_is_the_end_of_its_port() -> None:
    port = {"machine": None, "nic": None, "network": "lan", "state": "running", "chain": [make_insert("fw")]}
    assert draw_chain(port) == "net lan ── fw ── gateway"


def test_table_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "LONG"), [("long cell", None), ("x", 5)])
    assert capsys.readouterr().out == "A          LONG\nlong cell  -\nx          5\n"


def test_table_without_rows_has_its_titles(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "B"), [])
    assert capsys.readouterr().out == "A  B\n"


def test_view_has_a_line_for_every_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_view({"name": "web", "nics": [{"nic": 0, "mac": None}, {"nic": 1}], "up": False, "argv": ["a", "b"]})
    assert capsys.readouterr().out == "name  web\nnics  nic=0\n      nic=1\nup    no\nargv  a b\n"


@pytest.mark.parametrize(("value", "cell"), [("a\nb", "a b"), ([], "-"), ("", "-"), (0, "0"), (True, "yes")])
def test_cells_are_one_line(value: object, cell: str) -> None:
    assert dump_cell(value) == cell


@pytest.mark.parametrize(("seconds", "age"), [(-5, "0s"), (5, "5s"), (90, "1m"), (7200, "2h"), (3 * 86400, "3d")])
def test_ages(seconds: int, age: str) -> None:
    assert dump_age(time.time() - seconds - 0.2) == age


def test_age_of_a_manifest() -> None:
    created = datetime.now(UTC) - timedelta(hours=2, seconds=1)
    assert dump_age(created.isoformat().replace("+00:00", "Z")) == "2h"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "-"),
        (64 << 20, "64M"),
        (3 << 29, "1.5G"),
        (5_767_168, "5.5M"),
        (1001 << 20, "1001M"),
        (1 << 50, "1048576G"),
    ],
)
def test_memory(size: int | None, text: str) -> None:
    assert dump_memory(size) == text


def test_progress_without_a_terminal_is_some_lines_not_hundreds(capsys: pytest.CaptureFixture[str]) -> None:
    show = PlainProgress("kernel")
    show("unpack", None)
    for done in range(1001):
        show("compile", done / 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["kernel: unpack", "kernel: compile 0%", "kernel: compile 10%"]
    assert lines[-1] == "kernel: compile 100%"
    assert len(lines) == 12


def test_missing_packages_are_those_of_failed_checks() -> None:
    checks: list[dict[str, Any]] = [
        {"ok": True, "package": "qemu-system-x86"},
        {"ok": False, "package": "passt nftables"},
        {"ok": False, "package": "passt"},
        {"ok": False, "package": None},
    ]
    assert find_missing(checks) == ["nftables", "passt"]
