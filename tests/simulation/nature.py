"""What befalls an office while its commands are at work: at a step of a process, or at a moment."""

import contextvars
from collections import defaultdict
from collections.abc import Callable
from random import Random

from tests.simulation.host import ORIGIN, Blow, Process, Step
from tests.simulation.office import Office

HOUR, YEAR = 3600.0, 31_557_600.0

# How far into its work something befalls a command: most often early, sometimes hundreds of steps later.
FURTHEST_STEP, FURTHEST_MOMENT = 2000, 3 * HOUR


class Nature:
    """Decides for each command what will befall it, and when."""

    def __init__(self, office: Office, draw: Random) -> None:
        self._office, self._draw = office, draw
        self._host = office.host
        self._at_step: dict[Process, dict[int, list[Callable[[], Blow | None]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._quiet = False
        self._host.strikes = self._strike
        chosen = office.scenario
        self._rates: list[tuple[str, float, Callable[[Process], Blow | None]]] = [
            ("kill", chosen.deaths, self._kill),
            ("SIGTERM", chosen.signals, self._signal),
            ("clock jump", chosen.clock_jumps, self._clock_jumps),
            ("reboot", chosen.reboots, self._reboot),
            ("standstill", chosen.freezes, self._freeze),
            ("disk full", chosen.disk_faults / 3, lambda _process: Blow.DISK_FULL),
            ("I/O error", chosen.disk_faults / 3, lambda _process: Blow.IO_ERROR),
            ("I/O error after the fact", chosen.disk_faults / 3, lambda _process: Blow.IO_ERROR_AFTER),
            ("somebody else's action", chosen.others, self._other),
            ("protected list grows", chosen.protections, self._protect),
        ]

    def outages(self, number: int) -> None:
        for _ in range(number):
            begin = self._office.loop.time() + self._draw.random() * HOUR
            self._office.net.weather.outages.append((begin, begin + self._draw.choice((5.0, 60.0, 700.0))))

    def end(self) -> None:
        """Nothing befalls anybody any more, except that clocks stay as wrong as they are."""
        self._quiet = True
        self._office.net.weather.calm()
        self._office.tenant.faults.end()

    def watch_over(self, process: Process) -> None:
        """Draw what will befall a process that was just started."""
        draw = self._draw
        for name, rate, event in self._rates:
            while rate > 0 and draw.random() < rate / (1 + rate):
                if draw.random() < 0.7:
                    step = round(FURTHEST_STEP ** draw.random())
                    self._at_step[process][step].append(self._counted(name, event, process))
                else:
                    delay = 0.1 * (FURTHEST_MOMENT / 0.1) ** draw.random()
                    self._office.loop.call_later(delay, self._at_moment, name, event, process)

    def _counted(
        self, name: str, event: Callable[[Process], Blow | None], process: Process
    ) -> Callable[[], Blow | None]:
        def happen() -> Blow | None:
            self._office.faults[name] += 1
            return event(process)

        return happen

    def _strike(self, process: Process, _step: Step) -> Blow | None:
        events = self._at_step[process].pop(process.steps, ()) if not self._quiet else ()
        blows = [contextvars.Context().run(event) for event in events]  # nothing of it is the process's own doing
        return next((blow for blow in blows if blow is not None), None)

    def _at_moment(self, name: str, event: Callable[[Process], Blow | None], process: Process) -> None:
        if not self._quiet and process.is_running:
            self._office.faults[name] += 1
            blow = event(process)
            if blow is Blow.KILL:
                process.kill()
            elif blow is Blow.SIGTERM:
                process.signal()
            elif blow is not None:
                process.disk_is, process.was_struck = Blow.IO_ERROR, True

    # -- the events --

    def _kill(self, _process: Process) -> Blow:
        return Blow.KILL

    def _signal(self, process: Process) -> Blow:
        if self._draw.random() < 0.3:
            self._office.loop.call_later(self._draw.choice((0.0, 0.5, 20.0)), process.signal)
        return Blow.SIGTERM

    def _clock_jumps(self, _process: Process) -> None:
        self._host.wall_error += self._draw.choice((HOUR, -HOUR, YEAR, -YEAR, 61.0, -61.0))

    def _reboot(self, _process: Process) -> None:
        """Most often the calendar is as right as before; a battery can be empty, or a year be lost."""
        lost = self._draw.choice((0.0, 0.0, 0.0, -HOUR, -YEAR))
        self._host.reboot(self._host.wall_error + lost)

    def _freeze(self, process: Process) -> None:
        process.freeze()
        self._office.loop.call_later(self._draw.choice((1.0, 70.0, 2 * HOUR)), process.thaw)

    def _other(self, _process: Process) -> None:
        """Somebody offboards a device in the portal, or takes an action back."""
        tenant, now = self._office.tenant.tenant, ORIGIN + self._office.loop.time()
        device = self._draw.choice(self._office.devices)
        open_ones = [each for each in tenant.actions.values() if each.is_open(now)]
        if open_ones and self._draw.random() < 0.3:
            tenant.cancel(self._draw.choice(open_ones).id, "a mistake", now)
        elif device in self._office.known and not any(each.machine_id == device for each in open_ones):
            tenant.start(device, "by hand", now, requestor="admin@contoso.example")

    def _protect(self, _process: Process) -> None:
        with self._office.protected.open("a", encoding="ascii") as file:
            file.write(self._draw.choice(self._office.devices) + "\n")
