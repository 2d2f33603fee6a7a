"""The host, for those who ask: its ledger with all that was seen of its machines."""

import time
from dataclasses import dataclass
from functools import partial

from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.ledger.looking import Looking, count_used
from weft.fabric.ledger.reclaiming import Reclaiming
from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared
from weft.host.doctor import Check
from weft.model.host import HostView, LoanView, MachineShare, RoomShare
from weft.model.room import RoomResources
from weft.plan.ledger.accounts import Ledger, MachineAccount
from weft.plan.ledger.lending import Loan, find_loans


@dataclass(frozen=True, slots=True)
class Host:
    """The ledger of all rooms, who fills it in, and who acts on it."""

    rooms: Rooms
    ledger: HostLedger
    looking: Looking
    reclaiming: Reclaiming

    async def view(self) -> HostView:
        """How it stands now, by the ledger's, the host's and the guests' word."""
        await self.looking.ask()
        return self.recall()

    def recall(self) -> HostView:
        """The same, with what machines use and cost as it was seen last."""
        ledger = self.ledger.read()
        resources = {record.name: record.spec.resources for record in self.rooms.records()}
        return view_host(ledger, resources, tight=self.reclaiming.tension.tight)

    def check(self) -> Check:
        """Whether there is memory enough, for `weft doctor`."""
        ledger, tight = self.ledger.read(), self.reclaiming.tension.tight
        host = ledger.host
        found = f"{host.available >> 20} MiB available, {ledger.promised >> 20} of {host.capacity >> 20} MiB promised"
        is_over = ledger.promised > host.capacity
        return Check(
            name="memory",
            ok=not (tight or is_over),
            detail=found,
            hint="machines give back what they were lent: weft host top" if tight else "more is promised than may be",
            needed=False,
        )


def assemble_host(shared: Shared, rooms: Rooms) -> Host:
    """The host of a fabric, with its ledger."""
    ledger = shared.ledger
    ledger.find_used = partial(count_used, rooms)
    looking = Looking(rooms, ledger, time.monotonic)
    reclaiming = Reclaiming(rooms, ledger, looking, shared.events, time.monotonic)
    ledger.collect = reclaiming.collect
    return Host(rooms, ledger, looking, reclaiming)


def view_host(ledger: Ledger, resources: dict[str, RoomResources], *, tight: bool) -> HostView:
    """A ledger as it is shown."""
    host, loans = ledger.host, find_loans(ledger)
    return HostView(
        memory=host.memory,
        reserve=host.reserve,
        available=host.available,
        capacity=host.capacity,
        promised=ledger.promised,
        granted=ledger.granted,
        used=sum(machine.used or 0 for machine in ledger.machines),
        cost=sum(machine.cost for machine in ledger.machines),
        free=ledger.free,
        memory_overcommit=host.memory_overcommit,
        cpus=host.cpus,
        cpu_overcommit=host.cpu_overcommit,
        cpus_promised=ledger.cpus_promised,
        cpus_granted=ledger.cpus_granted,
        tight=tight,
        rooms=[_view_room(ledger, name, resources.get(name, RoomResources()), loans) for name in ledger.names],
        machines=[_view_machine(machine) for machine in sorted(ledger.machines, key=lambda machine: machine.key)],
        loans=[LoanView(lender=loan.lender, borrower=loan.borrower, memory=loan.memory) for loan in loans],
    )


def _view_room(ledger: Ledger, name: str, resources: RoomResources, loans: list[Loan]) -> RoomShare:
    machines = ledger.machines_of(name)
    return RoomShare(
        name=name,
        resources=resources,
        machines=len(machines),
        promised=ledger.promised_to(name),
        granted=ledger.granted_to(name),
        used=sum(machine.used or 0 for machine in machines),
        cost=sum(machine.cost for machine in machines),
        lends=sum(loan.memory for loan in loans if loan.lender == name),
        borrows=sum(loan.memory for loan in loans if loan.borrower == name),
        gave=sum(machine.gave for machine in machines),
        cpus_promised=ledger.cpus_promised_to(name),
        cpus_granted=sum(machine.cpus_granted for machine in machines),
    )


def _view_machine(machine: MachineAccount) -> MachineShare:
    return MachineShare(
        room=machine.room,
        name=machine.name,
        promised=machine.minimum,
        granted=machine.granted,
        lent=machine.lent,
        used=machine.used,
        cost=machine.cost or None,
        gave=machine.gave,
        cpus_promised=machine.cpus_minimum,
        cpus_granted=machine.cpus_granted,
        idle=machine.idle,
    )
