"""What the rooms of a fabric have in common: images and kernels, host facts, settings, the store, the event log."""

from collections.abc import Callable
from dataclasses import dataclass

from weft.fabric.events import EventLog
from weft.fabric.layout import Layout
from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.site import Receive
from weft.fabric.templates.library import Library
from weft.host.facts import HostFacts
from weft.image.store import ImageStore, KernelStore
from weft.settings import Settings
from weft.store.contract import Store


@dataclass(frozen=True, slots=True)
class Shared:
    """The one of everything. `id`, hexadecimal, tells fabrics of one host apart; `same_boot`: the host has not been
    booted since the last daemon; `clock` gives seconds since the epoch; `init` is the guest's;
    `templates` those of all rooms that are not strict; `receive` answers machines that call for the file tree.
    """

    id: str
    layout: Layout
    settings: Settings
    facts: HostFacts
    images: ImageStore
    kernels: KernelStore
    store: Store
    events: EventLog
    clock: Callable[[], float]
    same_boot: bool
    init: bytes
    templates: Library
    ledger: HostLedger
    receive: Receive
