"""Health checks: the command of each machine that has one is run through its agent, as long as the machine runs."""

import asyncio
from collections.abc import Awaitable, Callable

from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.model.errors import Invalid, Unavailable, WeftError
from weft.model.image import Health
from weft.model.machine import HealthView, MachineSpec, State
from weft.plan.entry import plan_program
from weft.plan.health import LONGEST_OUTPUT, Condition, Result, Status, plan_check, take_result

Sleep = Callable[[float], Awaitable[None]]


class Checks:
    """What is known of the health of a fabric's machines."""

    def __init__(self, site: Site, runs: Runs, *, sleep: Sleep = asyncio.sleep) -> None:
        self._site = site
        self._runs = runs
        self._sleep = sleep
        self._running: dict[str, asyncio.Task[None]] = {}
        self._conditions: dict[str, Condition] = {}
        self._changed = asyncio.Condition()

    async def on_ready(self, machine: MachineRecord) -> None:
        """Begin to check a machine whose agent answers, if there is a check."""
        health = self._find_check(machine.spec)
        if health is None:
            return
        await self.on_end(machine)
        self._conditions[machine.name] = Condition(since=machine.ready or self._site.clock())
        work = self._check(machine.name, health)
        self._running[machine.name] = self._site.tasks.start(work, f"health-{machine.name}")

    async def renew(self, machine: MachineRecord) -> None:
        """Check a machine that runs as its spec says now."""
        if machine.state is State.RUNNING:
            await self.on_end(machine)
            await self.on_ready(machine)

    async def on_end(self, machine: MachineRecord) -> None:
        """What does not run has no health."""
        self._conditions.pop(machine.name, None)
        if running := self._running.pop(machine.name, None):
            running.cancel()
        async with self._changed:
            self._changed.notify_all()

    def view(self, name: str) -> HealthView | None:
        """A machine's health as it is shown; None when nothing checks it, or it does not run."""
        condition = self._conditions.get(name)
        if condition is None:
            return None
        return HealthView(status=condition.status, failures=condition.failures, output=condition.output)

    async def wait_healthy(self, name: str) -> None:
        """Until a machine's check has passed. Raises Invalid (it has none), Unavailable (unhealthy, or it ended)."""
        if name not in self._conditions and self._find_check(self._site.shelves.machines.get(name).spec) is None:
            raise Invalid(f"machine {name!r} has no health check", hint="--health-cmd gives it one")
        async with self._changed:
            await self._changed.wait_for(lambda: self._status(name) is not Status.STARTING)
        condition = self._conditions.get(name)
        if condition is None:
            raise Unavailable(f"machine {name!r} ended before it was healthy")
        if condition.status is Status.UNHEALTHY:
            raise Unavailable(f"machine {name!r} is unhealthy", detail=condition.output or None)

    def _status(self, name: str) -> Status | None:
        condition = self._conditions.get(name)
        return condition.status if condition else None

    def _find_check(self, spec: MachineSpec) -> Health | None:
        if spec.no_health:
            return None
        health = self._site.images.get(spec.image).health
        return spec.health.over(health) if spec.health else health

    async def _check(self, name: str, health: Health) -> None:
        while (condition := self._conditions.get(name)) is not None:
            await self._sleep(max(0.0, plan_check(health, condition) - self._site.clock()))
            passed, output = await self._run(name, health)
            await self._take(name, health, Result(passed, self._site.clock(), output))

    async def _take(self, name: str, health: Health, result: Result) -> None:
        before = self._conditions[name]
        after = self._conditions[name] = take_result(health, before, result)
        if after.status is not before.status:
            self._tell(name, after)
        async with self._changed:
            self._changed.notify_all()

    def _tell(self, name: str, condition: Condition) -> None:
        if condition.status is Status.HEALTHY:
            self._site.events.publish("machine.healthy", name, f"machine {name} is healthy")
        else:
            text = f"machine {name} is unhealthy"
            self._site.events.publish("machine.unhealthy", name, text, output=condition.output)

    async def _run(self, name: str, health: Health) -> tuple[bool, str]:
        """Run the check once: whether it passed, and what it printed or why it could not."""
        machine = self._site.shelves.machines.get(name)
        program = plan_program(machine.spec, self._site.images.get(machine.spec.image).entry)
        try:
            async with asyncio.timeout(health.timeout):
                agent = self._runs.agent(name)
                running = await agent.exec(
                    health.argv, env=program.env, cwd=program.cwd, user=program.user, timeout=health.timeout
                )
                async with running as process:
                    output = b""
                    async for _, data in process:
                        output = (output + data)[-LONGEST_OUTPUT:]
                    status = await process.wait()
        except TimeoutError:
            return False, f"it took longer than {health.timeout:g} s"
        except WeftError as failure:
            return False, str(failure)
        return status.shell_code == 0, output.decode(errors="replace").strip()
