"""Questions to firewalls: rules and their counters, connections, the log, leases, the tunnel."""

from collections.abc import AsyncIterator

from weft.fabric.asking import ask, read_lines
from weft.fabric.runs import Runs
from weft.fabric.settings.changing import Changes
from weft.fabric.settings.work import Subject, require_sound
from weft.fabric.site import Site
from weft.firewall.clients import view_peers
from weft.firewall.counters import list_rules, parse_counters
from weft.firewall.dhcp import list_fixed
from weft.firewall.model import FirewallModel
from weft.firewall.reports import parse_connections, parse_leases, parse_log_line, parse_peers, parse_uptime
from weft.firewall.wireguard import add_zone
from weft.image.settings import load_saved
from weft.model.errors import Unavailable, WrongState
from weft.model.firewall import ConnectionView, LeaseView, LogView, PeerView, RuleView
from weft.plan.settings import Values
from weft.plan.settings_file import Document

_CONNECTIONS = "/usr/sbin/conntrack -L -f ipv4 2>/dev/null && /usr/sbin/conntrack -L -f ipv6 2>/dev/null"
_LEASES = "[ ! -e /run/names/leases ] || cat /run/names/leases"
_TUNNEL = "[ ! -e /sys/class/net/wg0 ] || /usr/bin/wg show wg0 dump"
# Lines of the kernel's log have times in any case; whether dmesg tells them is for whoever reads.
_LOG = "cat /proc/uptime; echo Y >/sys/module/printk/parameters/time; dmesg -r"
_LOG_ON = "cat /proc/uptime; exec cat /dev/kmsg"


class Firewalls:
    """What firewalls say. Every method raises NotFound, WrongState for what is no firewall or does not run,
    Unavailable."""

    def __init__(self, site: Site, runs: Runs, changes: Changes) -> None:
        self._site = site
        self._runs = runs
        self._changes = changes

    async def rules(self, name: str) -> list[RuleView]:
        """Its rules in their order, with what each has counted."""
        values = await self._running(await self.subject(name))
        said = await self._ask(name, "/usr/sbin/nft -j list ruleset")
        try:
            return list_rules(values, parse_counters(said))
        except ValueError as err:
            raise Unavailable(f"machine {name!r} does not say what its rules are") from err

    async def connections(self, name: str) -> list[ConnectionView]:
        """The connections that it follows."""
        await self.subject(name)
        return parse_connections(await self._ask(name, _CONNECTIONS))

    async def leases(self, name: str) -> list[LeaseView]:
        """The addresses that it has given."""
        subject = await self.subject(name)
        fixed = list_fixed(await self._running(subject), subject.terms.place)
        return parse_leases(await self._ask(name, _LEASES), fixed)

    async def clients(self, name: str) -> list[PeerView]:
        """The other ends of its tunnel; of a firewall that does not run, what is set of them."""
        subject = await self.subject(name)
        if subject.agent is None:
            return list(view_peers(subject.terms.effective(await self._saved_values(subject))).values())
        known = view_peers(await self._running(subject))
        return parse_peers(await self._ask(name, _TUNNEL), known)

    async def log(self, name: str, *, follow: bool) -> AsyncIterator[LogView]:
        """What its rules have sent to the kernel's log, and with `follow` what they send from now on, too."""
        subject = await self.subject(name)
        place = add_zone(await self._running(subject), subject.terms.place)
        agent = await self._runs.reach(name)
        async with await agent.exec(["/bin/sh", "-c", _LOG_ON if follow else _LOG]) as process:
            boot: float | None = None
            async for line in read_lines(process):
                if boot is None:
                    boot = self._site.clock() - parse_uptime(line)
                elif (view := parse_log_line(line, boot, place)) is not None:
                    yield view

    async def subject(self, name: str) -> Subject:
        """A firewall, and where it stands. Raises WrongState for any other machine."""
        subject = await self._changes.subject(name)
        if not isinstance(subject.terms.model, FirewallModel):
            raise WrongState(f"machine {name!r} is of image {subject.machine.spec.image}, which is no firewall")
        return subject

    async def saved(self, subject: Subject) -> Document:
        """What is on its floppy. Raises Invalid when that is damaged."""
        return require_sound(subject, await load_saved(subject.path)).document

    async def _running(self, subject: Subject) -> Values:
        """What it runs with, defaults included; what is saved if it does not say so."""
        found = await self._changes.find_running(subject)
        return subject.terms.effective(await self._saved_values(subject) if found is None else found)

    async def _saved_values(self, subject: Subject) -> Values:
        return (await self.saved(subject)).fit(subject.schema).values

    async def _ask(self, name: str, command: str) -> str:
        return await ask(await self._runs.reach(name), ["/bin/sh", "-c", command])
