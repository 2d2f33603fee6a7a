"""All that a room does with snapshots, and with machines that are suspended."""

from dataclasses import dataclass

from weft.fabric.lifecycle import Lifecycle
from weft.fabric.machines import Machines
from weft.fabric.moments.capturing import Capturing
from weft.fabric.site import Site
from weft.fabric.snapshots.archives import Archives
from weft.fabric.snapshots.kept import KeptSnapshots
from weft.fabric.snapshots.placing import sweep_prepared
from weft.fabric.snapshots.restoring import Restoring
from weft.fabric.snapshots.suspending import Suspending
from weft.fabric.snapshots.taking import Taking
from weft.fabric.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The controllers of snapshots."""

    kept: KeptSnapshots
    taking: Taking
    restoring: Restoring
    archives: Archives
    suspending: Suspending


def assemble_snapshots(
    site: Site, machines: Machines, lifecycle: Lifecycle, volumes: Volumes, capturing: Capturing
) -> Snapshots:
    """Those of a room, joined to what it has."""
    kept = KeptSnapshots(site)
    sweep_prepared(site.layout)
    return Snapshots(
        kept=kept,
        taking=Taking(site, kept, volumes, capturing),
        restoring=Restoring(site, kept, machines, lifecycle, volumes),
        archives=Archives(site, kept),
        suspending=Suspending(site, lifecycle, capturing),
    )
