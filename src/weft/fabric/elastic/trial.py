"""A throw-away machine that shows whether processors can be hot-plugged here: one comes, goes, and comes again."""

import asyncio
import logging
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from weft.fabric.elastic.beginning import wants_trial
from weft.fabric.elastic.plugging import replug
from weft.fabric.elastic.switching import Switching
from weft.fabric.endings import remove_group
from weft.fabric.latching import IO_CPUS, PIDS
from weft.fabric.layout import Layout
from weft.fabric.logs import open_logs, read_tail
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import KVM, TRIAL_USER, Site
from weft.guest.agent import Agent
from weft.guest.config import GuestConfig
from weft.guest.connecting import open_agent
from weft.guest.initramfs import build_initramfs
from weft.host.cgroup import Limits
from weft.host.frugality import plan_frugality
from weft.host.hotplug import Verdict, Verdicts
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.records import find_record, write_record
from weft.host.sandbox import Bind, plan_sandbox
from weft.host.seccomp import open_filter
from weft.host.sockets import listen_unix
from weft.model.elastic import CpuMode, ScaleState
from weft.model.errors import Unavailable, WeftError
from weft.model.image import KernelInfo
from weft.model.machine import Profile
from weft.plan.boot import Boot, BootElastic, plan_boot

log = logging.getLogger(__name__)

NAME = "trial.hotplug"
"""As its control group and folder are called; no machine's name has a dot."""
SIZES = (3, 1, 2)
"""Processors that it is to have, one after the other."""
STEP = 30.0
"""Seconds for each step: half of one where it works, under emulation."""
MEMORY = 96 << 20
ROOT = 1 << 20
"""Bytes of a disk that nobody looks at."""


class HotplugTrial:
    """Tries it out for a room's site, in the background, when the first machine runs that could use it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.layout.home / "trial"
        self._files = Layout(self._folder).machine(NAME)
        self._record = self._files.folder / "process.json"
        self._task: asyncio.Task[None] | None = None

    async def on_ready(self, machine: MachineRecord) -> None:
        """A machine whose processors are parked would have real ones if somebody knew that this works."""
        if machine.elastic is None or machine.elastic.mode is not CpuMode.PARKED or self._task is not None:
            return
        if wants_trial(self._site, machine):
            self._task = self._site.tasks.start(self._try_out(self._site.kernels.get(machine.kernel)), NAME)

    async def stop(self) -> None:
        """Give it up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def adopt(self) -> None:
        """Remove what an earlier daemon has left of one."""
        if self._folder.exists():
            try:
                await self._sweep()
            except WeftError as err:
                log.warning("the machine that tried out hot-plug cannot be removed: %s", err)

    async def _try_out(self, kernel: KernelInfo) -> None:
        """What kept it from being tried is no verdict."""
        verdicts = Verdicts(self._site.home / "run", self._site.facts)
        with verdicts.trying() as alone:
            if not alone:
                return
            begin = time.monotonic()
            try:
                verdict = await self.run(kernel)
            except WeftError as err:
                log.warning("hot-plug of processors was not tried out: %s", err)
                return
            verdicts.keep(kernel.digest, verdict)
            found = "works" if verdict.works else verdict.reason
            log.info("hot-plug of processors, tried for %.1f s: %s", time.monotonic() - begin, found)

    async def run(self, kernel: KernelInfo) -> Verdict:
        """Raises what kept the machine from starting. Nothing is left behind."""
        await self._sweep()
        try:
            self._start(kernel)
            async with open_agent(self._files.agent, timeout=self._site.settings.boot_timeout) as agent:
                return await self._go_through(agent)
        except WeftError as err:
            raise Unavailable(f"{err.message}{self._last_words()}") from err
        finally:
            await asyncio.shield(self._sweep())

    async def _go_through(self, agent: Agent) -> Verdict:
        monitor, switching = partial(_open_monitor, self._files.qmp), Switching()
        for number, size in enumerate(SIZES, 1):
            step = f"step {number}, {size} processors"
            try:
                async with asyncio.timeout(STEP):
                    outcome = await replug(monitor, partial(switching.switch, NAME, agent), size)
                    await agent.ping()
            except (WeftError, TimeoutError):
                return Verdict(False, f"{step}: the machine did not survive it{self._last_words()}")
            if outcome.state is not ScaleState.APPLIED:
                return Verdict(False, f"{step}: {outcome.reason}")
        return Verdict(True)

    def _last_words(self) -> str:
        said = read_tail(self._files.log) + read_tail(self._files.errors)
        lines = said.decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _start(self, kernel: KernelInfo) -> None:
        """Its walls, limits and arguments are those of any machine; it has no disk and no network."""
        files, identity = self._files, self._site.identity(TRIAL_USER)
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = files.folder / "root"
        contents = build_initramfs(self._site.init, GuestConfig(hostname="trial"))
        for path, content in ((files.initrd, contents), (root, bytes(ROOT))):
            path.write_bytes(content)
            path.chmod(0o644)  # read by a user of its own; the folder is closed to everybody else
        binds = [
            Bind(self._site.kernels.vmlinux_path(kernel), "vmlinux"),
            *(Bind(files.initrd, "initrd"), Bind(root, "root"), Bind(files.log, "serial.log", writable=True)),
        ]
        with ExitStack() as stack:
            errors = stack.enter_context(open_logs(files, identity.uid if identity else None)).fileno()
            sockets = [
                stack.enter_context(listen_unix(path)).fileno() for path in (files.qmp, files.serial, files.agent)
            ]
            filter_fd = open_filter(stack, plan_frugality(self._site.facts.accel, borrowed=False, disks=True))
            argv = plan_sandbox(
                [self._site.facts.qemu, *plan_boot(self._boot(binds, sockets))],
                binds=binds,
                devices=[KVM] if self._site.facts.accel == "kvm" else [],
                identity=identity,
                proc=True,
                filter_fd=filter_fd,
            )
            limits = Limits(
                cpus=max(SIZES) + IO_CPUS, memory_bytes=MEMORY + self._site.settings.memory_overhead, pids=PIDS
            )
            group = self._site.cgroups.create(NAME, limits)
            latched = start_latched(argv, fds=[*sockets, filter_fd], doors=group.doors, stdout=errors, stderr=errors)
        write_record(self._record, latched.process)
        latched.release()

    def _boot(self, binds: list[Bind], sockets: list[int]) -> Boot:
        kernel, initrd, root, log_file = (str(bind.inside) for bind in binds)
        qmp, serial, agent = sockets
        return Boot(
            name=NAME,
            uuid=str(uuid.UUID(int=0)),
            profile=Profile.Q35,
            accel=self._site.facts.accel,
            memory=MEMORY,
            cpus=1,
            kernel=kernel,
            initrd=initrd,
            root=root,
            serial_log=log_file,
            qmp_fd=qmp,
            serial_fd=serial,
            agent_fd=agent,
            tsc_khz=self._site.facts.tsc_khz or None,
            elastic=BootElastic(max_cpus=max(SIZES), parked=False),
        )

    async def _sweep(self) -> None:
        """End and remove what there is of it, whoever has made it: one that was just starting has children later."""
        group = self._site.cgroups.group(NAME)
        found = find_record(self._record)
        known = [*found[0].children(), found[0]] if found else []
        while known := [*known, *(process for pid in group.pids() if (process := ProcessId.find(pid)))]:
            await stop_processes(known, term_for=0)
            known = []
        await remove_group(group)
        shutil.rmtree(self._folder, ignore_errors=True)


@asynccontextmanager
async def _open_monitor(path: Path) -> AsyncIterator[Qmp]:
    qmp = await open_qmp(path)
    try:
        yield qmp
    finally:
        await qmp.close()
