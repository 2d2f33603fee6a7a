"""Names, leases and router advertisements of the firewall: one dnsmasq, whose files come of the settings. Pure.

What it reads again while it runs (hosts, fixed leases, servers) is in files of their own, so that a change of these
interrupts nothing. An empty `dnsmasq.conf`: there is nothing for it to do.
"""

from weft.firewall.dhcp import check_dhcp, dhcp_services, dump_dhcp, dump_leases
from weft.firewall.dns import check_dns, dns_services, dump_dns, dump_hosts, dump_servers, list_named_zones
from weft.firewall.services import Service
from weft.model.place import Place
from weft.model.setting_lines import Values

CONF, HOSTS, LEASES, SERVERS = "dnsmasq.conf", "dnsmasq.hosts", "dnsmasq.leases", "dnsmasq.servers"
FOLDER = "/run/names"
"""Where the files are in the guest when they count, and what the server writes."""

_FIXED = (
    "user=dnsmasq",
    "group=dnsmasq",
    f"pid-file={FOLDER}/pid",
    "bind-dynamic",
    "except-interface=lo",
    "no-resolv",
    "no-hosts",
    "cache-size=1000",
    f"addn-hosts={FOLDER}/{HOSTS}",
    f"servers-file={FOLDER}/{SERVERS}",
    f"dhcp-hostsfile={FOLDER}/{LEASES}",
    f"dhcp-leasefile={FOLDER}/leases",
)


def check(values: Values, place: Place | None) -> list[str]:
    """What is wrong with the settings of names and leases, each problem naming its item."""
    return check_dhcp(values, place) + check_dns(values, place)


def render(values: Values, place: Place) -> dict[str, str]:
    """The files of /run/weft that say what the settings say."""
    return {
        CONF: _dump_conf(values, place),
        HOSTS: dump_hosts(values, place),
        LEASES: dump_leases(values, place),
        SERVERS: dump_servers(values, place),
    }


def services(values: Values, place: Place) -> list[Service]:
    """What has to be let in for it to be heard."""
    return dhcp_services(values) + dns_services(values, place)


def _dump_conf(values: Values, place: Place) -> str:
    named = frozenset(list_named_zones(values, place))
    asked = {*named, *(service.zone for service in dhcp_services(values))}
    nics = [zone.nic for zone in place.zones if zone.name in asked]
    if not nics:
        return ""
    forward = tuple(place.resolvers)
    lines = [*_FIXED, *(f"interface={nic}" for nic in nics)]
    lines += [] if named else ["port=0"]
    lines += dump_dhcp(values, place, resolvers=forward, named=named) + dump_dns(values, place)
    return "".join(f"{line}\n" for line in lines)
