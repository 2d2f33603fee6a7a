"""Changes of a firewall's settings: clients of its tunnel, and addresses from which nothing gets through."""

from collections.abc import Mapping, Sequence
from typing import Any

from weft.fabric.firewalls.looking import Firewalls
from weft.fabric.settings.configs import Configs
from weft.fabric.settings.work import Subject
from weft.fabric.site import Site
from weft.firewall.blocking import block_address, unblock_address
from weft.firewall.clients import Keys, add_client, remove_peer
from weft.host.keys import find_public, make_key
from weft.model.config import ConfigView
from weft.model.errors import Invalid, NotFound
from weft.model.firewall import BlockWish, ClientView, ClientWish
from weft.plan.settings import Values


class FirewallChanges:
    """Every method raises NotFound, WrongState for what is no firewall, and what a change of settings raises."""

    def __init__(self, site: Site, firewalls: Firewalls, configs: Configs) -> None:
        self._site = site
        self._firewalls = firewalls
        self._configs = configs

    async def add_client(self, name: str, wish: ClientWish) -> ClientView:
        """Make keys, a peer of them, and the tunnel if there is none. The private key is only in the answer."""
        subject = await self._firewalls.subject(name)
        values, revision = await self._saved(subject)
        try:
            own, client = _find_keys(values.get("wireguard.key")), _find_keys(None)
            new = add_client(values, subject.terms.place, wish, own, client)
        except ValueError as err:
            raise Invalid(str(err)) from err
        view = await self._change(name, new.changes, revision, "client add")
        return ClientView(
            peer=new.peer.name,
            address=new.address,
            key=client.public,
            revision=view.revision,
            file=new.file,
            notes=list(new.notes),
        )

    async def remove_client(self, name: str, peer: str) -> ConfigView:
        """Take a peer away. Raises NotFound."""
        values, revision = await self._saved(await self._firewalls.subject(name))
        if (lines := remove_peer(values, peer)) is None:
            raise NotFound(f"machine {name!r} has no peer {peer!r}", hint=f"weft firewall clients {name}")
        return await self._change(name, {"wireguard.peers": lines}, revision, "client rm")

    async def block(self, name: str, wish: BlockWish) -> ConfigView:
        """Let nothing from an address through, for a while or until `unblock`."""
        values, revision = await self._saved(await self._firewalls.subject(name))
        try:
            rules = block_address(_rules(values), wish.address, wish.seconds, self._site.clock())
        except ValueError as err:
            raise Invalid(str(err)) from err
        return await self._change(name, {"rules": rules}, revision, "block")

    async def unblock(self, name: str, wish: BlockWish) -> ConfigView:
        """Take a block away. Raises NotFound when there is none."""
        values, revision = await self._saved(await self._firewalls.subject(name))
        try:
            rules = unblock_address(_rules(values), wish.address, self._site.clock())
        except ValueError as err:
            raise Invalid(str(err)) from err
        if rules is None:
            raise NotFound(f"{wish.address} is not blocked at {name!r}", hint=f"weft firewall rules {name}")
        return await self._change(name, {"rules": rules}, revision, "unblock")

    async def _saved(self, subject: Subject) -> tuple[Values, int]:
        """The settings that a change begins with, defaults included, and their revision."""
        document = await self._firewalls.saved(subject)
        return subject.terms.effective(document.fit(subject.schema).values), document.stamp.revision

    async def _change(self, name: str, changes: Mapping[str, Any], revision: int, what: str) -> ConfigView:
        return await self._configs.change(name, changes, revision=revision, by=f"weft firewall {what}")


def _rules(values: Values) -> Sequence[str]:
    return values.get("rules") or ()


def _find_keys(private: str | None) -> Keys:
    """The pair of a private key, or a new one. Raises ValueError."""
    private = private or make_key()
    return Keys(private, find_public(private))
