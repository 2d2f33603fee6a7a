"""A firewall's own trace of one packet: the table that asks for it, and what `nft monitor` says.

The table marks the packet before anything else sees it, connection tracking included. What is marked is of one source
and for a minute at most, because that entry of the set ends by itself; a table that nobody takes away does no harm.

The monitor also tells of changes to tables. That the table was made, and that it is gone, are in its words the
beginning and the end of what it had to say of the packet: nobody has to guess how long that takes.
"""

import re
from dataclasses import dataclass, field

from weft.plan.tracing.room import Packet

TABLE = "weft-trace"
LASTING = 60
"""Seconds."""
_BEFORE_CONNTRACK = -310
_MOST_STEPS = 200
_LONGEST_LINE = 1000
_LINE = re.compile(r"trace id ([0-9a-f]+) (\w+) (\S+) (\S+) (.*)")
_RULE = re.compile(r"(?:rule (?P<text>.*)|unknown rule handle \d+) \(verdict (?P<verdict>[a-z]+)(?: (?P<to>\S+))?\)")
_END = re.compile(r"(?P<kind>verdict|policy) (?P<verdict>[a-z]+)")
_COMMENT = re.compile(r'comment "([^"]*)"$')


@dataclass(frozen=True, slots=True)
class Step:
    """What a rule of a chain did with the packet, or the chain's policy. `name` is the rule's comment."""

    chain: str
    name: str | None
    text: str
    verdict: str

    @property
    def is_end(self) -> bool:
        """Whether the packet is dropped here; a reject is a drop with an answer."""
        return self.verdict in ("drop", "reject")

    @property
    def is_worth_telling(self) -> bool:
        """Whether it says why something was decided; what leads from chain to chain does not."""
        return self.name is not None or self.is_end

    def __str__(self) -> str:
        return f"{self.chain}: {self.name or self.text} {self.verdict}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One packet as a firewall saw it: how it came in, and what was done."""

    header: str
    steps: list[Step] = field(default_factory=list)

    @property
    def end(self) -> Step | None:
        """What dropped it; None: it went on."""
        return next((step for step in self.steps if step.is_end), None)

    @property
    def names(self) -> list[str]:
        """The rules with a name that it met."""
        return [step.name for step in self.steps if step.name is not None]


def plan_trace_table(packet: Packet, family: str) -> str:
    """What `nft -f` loads; a table that is left of an earlier trace is replaced."""
    ip = "ip" if packet.version == 4 else "ip6"
    match = f"{ip} saddr @from {ip} daddr {packet.destination} {_dump_protocol(packet)}"
    kind = "ipv4_addr" if packet.version == 4 else "ipv6_addr"
    head = f"{family} {TABLE}"
    lines = [f"add table {head}", f"delete table {head}", f"table {head} {{"]
    lines += [f"  set from {{ type {kind}; flags timeout; elements = {{ {packet.source} timeout {LASTING}s }}; }}"]
    for hook in ("prerouting", "output"):
        lines.append(f"  chain {hook} {{")
        lines.append(f"    type filter hook {hook} priority {_BEFORE_CONNTRACK}; policy accept;")
        lines += [f"    {match} meta nftrace set 1", "  }"]
    return "\n".join([*lines, "}", ""])


def drop_trace_table(family: str) -> str:
    """What takes it away."""
    return f"delete table {family} {TABLE}\n"


def has_begun(text: str, family: str) -> bool:
    """Whether what a monitor has said so far tells that the table is there."""
    made = text.rfind(f"add rule {family} {TABLE} ")
    return made >= 0 and "# new generation" in text[made:]


def is_over(text: str, family: str) -> bool:
    """Whether it tells that the table, once made, is gone again."""
    made = text.rfind(f"add rule {family} {TABLE} ")
    return made >= 0 and f"delete table {family} {TABLE}\n" in text[made:]


def parse_trace(text: str) -> list[Sighting]:
    """The packets that a monitor told of, in order. Lines that are of something else are passed over."""
    found: dict[str, Sighting] = {}
    for line in text.splitlines():
        if not line.isprintable() or not (matched := _LINE.fullmatch(line.strip()[:_LONGEST_LINE])):
            continue  # a guest may say anything, and this is shown on terminals
        number, _, table, chain, rest = matched.groups()
        if rest.startswith("packet: "):
            found.setdefault(number, Sighting(rest.removeprefix("packet: ")))
        elif table != TABLE and number in found and (step := _parse_step(chain, rest)):
            found[number].steps.append(step)
            del found[number].steps[_MOST_STEPS:]
    return list(found.values())


def _parse_step(chain: str, rest: str) -> Step | None:
    if rule := _RULE.fullmatch(rest):
        text = rule["text"] or "a rule"
        comment = _COMMENT.search(text)
        verdict = " ".join(filter(None, (rule["verdict"], rule["to"])))
        return Step(chain, comment[1] if comment else None, text, _mend(text, verdict))
    if end := _END.fullmatch(rest):
        return Step(chain, None, end["kind"], end["verdict"])
    return None


def _mend(text: str, verdict: str) -> str:
    """The kernel calls it a drop when a rule rejects; the rule's own words say more."""
    return "reject" if verdict == "drop" and re.search(r"\breject\b", text) else verdict


def _dump_protocol(packet: Packet) -> str:
    if packet.protocol == "icmp":
        return "icmp type echo-request" if packet.version == 4 else "icmpv6 type echo-request"
    sport = f"{packet.protocol} sport {packet.sport} " if packet.sport else ""
    return f"{sport}{packet.protocol} dport {packet.dport}"
