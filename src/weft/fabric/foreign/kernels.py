"""What a machine with a system of its own is started with: its kernel, and what that is told."""

from dataclasses import dataclass
from ipaddress import IPv4Interface

from weft.fabric.layout import MachineFiles
from weft.fabric.records.machine import MachineRecord
from weft.fabric.roots.finding import find_home
from weft.fabric.site import Site
from weft.host.sandbox import Bind
from weft.model.foreign import Plan9Spec
from weft.plan.plan9 import Plan9Machine, Plan9Root, plan_ini


@dataclass(frozen=True, slots=True)
class BootKernel:
    """A kernel with its modules, as files of the host and of the sandbox; none: the firmware finds something."""

    binds: tuple[Bind, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def path(self) -> str | None:
        """Where it is in the sandbox."""
        return str(self.binds[0].inside) if self.binds else None


def find_kernel(site: Site, machine: MachineRecord, files: MachineFiles) -> BootKernel:
    """A machine's kernel. One of Plan 9 has its boot parameters as a module, written anew at each start.

    Raises NotFound, Invalid.
    """
    if not machine.kernel:
        return BootKernel()
    kernel = Bind(site.kernels.vmlinux_path(site.kernels.get(machine.kernel)), "kernel")
    plan9 = machine.spec.foreign.plan9 if machine.spec.foreign else None
    if plan9 is None:
        return BootKernel((kernel,))
    files.ini.write_text(boot_parameters(site, machine, plan9))
    files.ini.chmod(0o644)  # QEMU is another user
    ini = Bind(files.ini, "plan9.ini")
    return BootKernel((kernel, ini), (str(ini.inside),))


def boot_parameters(site: Site, machine: MachineRecord, plan9: Plan9Spec) -> str:
    """The plan9.ini of a machine as it is now. Raises Invalid."""
    assert machine.spec.foreign is not None, "it is foreign"
    nics = (str(machine.spec.foreign.nic_model),) * len(machine.nics)
    root = _find_root(site, machine)
    return plan_ini(Plan9Machine(machine.name, nics, root), plan9.ini, plan9.options)


def _find_root(site: Site, machine: MachineRecord) -> Plan9Root | None:
    """Where it is served, to a machine that has one."""
    if (home := find_home(site, machine)) is None or home.nic.address is None:
        return None
    address = IPv4Interface((home.nic.address, home.network.subnet.prefixlen))
    return Plan9Root(address, home.network.gateway, home.number)
