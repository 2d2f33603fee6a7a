"""The routes of firewalls as methods."""

import json
from collections.abc import Iterator

from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_name


class FirewallRoutes(Transport):
    """What firewalls do, and short ways to change what they do."""

    def firewall_rules(self, name: str) -> list[Json]:
        """A firewall's rules in their order: rule, text, packets, bytes."""
        return self._ask_list("GET", f"{_firewall(name)}/rules")

    def firewall_connections(self, name: str) -> list[Json]:
        """The connections that a firewall follows."""
        return self._ask_list("GET", f"{_firewall(name)}/connections")

    def firewall_log(self, name: str, *, follow: bool = False) -> Iterator[Json]:
        """What a firewall's rules have logged; with `follow`, goes on for as long as the machine runs."""
        with self._open_stream(f"{_firewall(name)}/log", {"follow": follow}) as answer:
            for line in answer.lines():
                yield json.loads(line)

    def firewall_leases(self, name: str) -> list[Json]:
        """The addresses that a firewall has given."""
        return self._ask_list("GET", f"{_firewall(name)}/leases")

    def firewall_clients(self, name: str) -> list[Json]:
        """The other ends of a firewall's tunnel."""
        return self._ask_list("GET", f"{_firewall(name)}/clients")

    def add_firewall_client(
        self, name: str, peer: str, *, address: str | None = None, endpoint: str | None = None
    ) -> Json:
        """Adds a client with new keys: peer, address, key, revision, and `file` with the private key, for wg-quick."""
        body = {"peer": peer, "address": address, "endpoint": endpoint}
        return self._ask_object("POST", f"{_firewall(name)}/clients", body=body, timeout=WORK_TIMEOUT)

    def remove_firewall_client(self, name: str, peer: str) -> Json:
        """Takes a client or site away; the settings."""
        return self._ask_object("DELETE", f"{_firewall(name)}/clients/{quote_name(peer)}", timeout=WORK_TIMEOUT)

    def block_address(self, name: str, address: str, *, seconds: float | None = None) -> Json:
        """Lets nothing from an address through a firewall, for so long or for ever; the settings."""
        body = {"address": address, "seconds": seconds}
        return self._ask_object("POST", f"{_firewall(name)}/block", body=body, timeout=WORK_TIMEOUT)

    def unblock_address(self, name: str, address: str) -> Json:
        """Takes a block away; the settings."""
        body = {"address": address}
        return self._ask_object("POST", f"{_firewall(name)}/unblock", body=body, timeout=WORK_TIMEOUT)


def _firewall(name: str) -> str:
    return f"/v1/machines/{quote_name(name)}/firewall"
