"""Plays one seed: first chaos, then calm.

In the first part commands are given and everything may befall them. In the second the faults have stopped, and every
batch must come to its end: within bounded time, with every row accounted for.
"""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from batch_offboard.commands import proposing, reporting
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.resolving import resolve
from batch_offboard.commands.tracking import track
from batch_offboard.commands.views import Talk
from batch_offboard.simulator import Pace, SimulatorOptions, fleet_of, running_simulator
from tests import commands
from tests.simulation.disk import machine
from tests.simulation.host import ORIGIN, Process
from tests.simulation.inspection import TOKEN
from tests.simulation.nature import Nature
from tests.simulation.office import Office, folder_in_memory, stream
from tests.simulation.reckoning import group_of
from tests.simulation.scenario import Scenario
from tests.simulation.sheets import Sheet

Work = Callable[[Desk, Talk], Coroutine[Any, Any, Any]]
S = TypeVar("S", bound="Story")

QUICK = Pace(pick_up=(0.1, 1.0), work=(0.1, 1.0))
SLOW = Pace(pick_up=(600.0, 86_400.0))

SETTLED = 4 * 86_400.0  # seconds after which no action is open any more


@dataclass(frozen=True, slots=True)
class Told:
    """What one seed came to. `digest` is of the wire's record, the journal and the reports."""

    scenario: Scenario
    called: int  # devices that were called at least once
    calls: int  # offboard calls
    cancels: int
    reads: int
    processes: int
    faults: Counter[str]
    digest: str
    seconds: float  # of the simulation's time
    steps: int


def tell(scenario: Scenario, story: Callable[[Office], "Story"]) -> Told:
    """What a story comes to, in an office of its own."""
    before = random.getstate()
    with folder_in_memory() as folder, machine(stream(scenario.seed, "machine")):
        random.seed(scenario.seed)  # aiohttp's choices
        try:
            office = Office(scenario, folder)
            told: Told = office.loop.run_until_complete(story(office).tell())
            return told
        finally:
            random.setstate(before)


def told_by(scenario: Scenario, story: Callable[[Office], S]) -> S:
    """The story itself, once it has been told."""
    kept: list[S] = []

    def keep(office: Office) -> S:
        kept.append(story(office))
        return kept[0]

    tell(scenario, keep)
    return kept[0]


class Story:
    """One seed's. Others tell another beginning, by a `_chaos` of their own."""

    def __init__(self, office: Office) -> None:
        self._office, self._scenario = office, office.scenario
        self._draw = stream(self._scenario.seed, "story")
        self._unread: list[Sheet] = []

    async def tell(self) -> Told:
        office, chosen = self._office, self._scenario
        options = SimulatorOptions(
            seed=chosen.seed,
            per_minute=max(1, int(chosen.per_minute * chosen.server_share)),
            per_hour=max(1, int(chosen.per_hour * chosen.server_share)),
            quota_mode=chosen.quota_mode,
            count_refused=chosen.count_refused,
            latency=(0.0, 0.0),
            faults=self._faults(),
            permissions=None if chosen.readable else frozenset({"Machine.Offboard"}),
            list_lag=chosen.list_lag,
            pace=QUICK if chosen.quick else SLOW if chosen.slow else Pace(failed=chosen.action_fails),
        )
        async with running_simulator(self._fleet(), options, lambda: ORIGIN + office.loop.time()) as tenant:
            office.open(tenant)
            self._nature = Nature(office, stream(chosen.seed, "nature"))
            self._unread = self._sheets()
            await self._chaos()
            await self._calm()
            await self._resuming_again_changes_nothing()
            office.inspector.inspect()
            office.stop_if_something_was_found()
            told = self._told()
            for process in office.host.processes:
                await process.bury()
            office.inspector.close()
        return told

    def _faults(self) -> tuple[str, ...]:
        return self._scenario.faults

    def _fleet(self) -> list[dict[str, object]]:
        """The tenant's machines: most of the sheet's devices are in order, the ill ones are refused or unknown."""
        draw, office = stream(self._scenario.seed, "fleet"), self._office
        fleet = fleet_of([(device, f"pc-{device[:8]}") for device in office.devices], 0, ORIGIN, extra=3)
        for machine_ in fleet:
            if draw.random() < self._scenario.ill:
                machine_["onboardingStatus"] = draw.choice(("CanBeOnboarded", "missing"))
        fleet = [each for each in fleet if each.get("onboardingStatus") != "missing"]
        office.known = frozenset(str(each["id"]) for each in fleet)
        return fleet

    def _sheets(self) -> list[Sheet]:
        """The devices on one sheet or several, which share some of them."""
        draw, office = stream(self._scenario.seed, "sheets"), self._office
        shares = [[] for _ in range(self._scenario.sheets)]  # type: list[list[str]]
        for device in office.devices:
            for share in draw.sample(shares, 1 if draw.random() < 0.8 else len(shares)):
                share.append(device)
        return [office.sheet(f"sheet-{number}", share, draw) for number, share in enumerate(shares) if share]

    # -- chaos --

    async def _chaos(self) -> None:
        self._nature.outages(self._scenario.outages)
        for _ in range(self._scenario.commands):
            await self._give(*self._command())
            pause = self._draw.choice((1.0, 5.0, 5.0, 70.0, 4000.0))
            await asyncio.sleep(1.0 + pause * self._draw.random())

    async def _give(self, name: str, work: Work) -> None:
        """One command, and meanwhile perhaps a second."""
        process = self._start(name, work)
        while self._draw.random() < self._scenario.guests / (1 + self._scenario.guests):
            await asyncio.sleep(self._draw.choice((0.0, 1.0, 60.0, 2000.0)) * self._draw.random())
            guest, visit = self._guest()
            await self._office.end_of(guest, self._start(guest, visit))
        await self._office.end_of(name, process)

    def _start(self, name: str, work: Work) -> Process:
        process = self._office.start(name, work)
        self._nature.watch_over(process)
        return process

    def _command(self) -> tuple[str, Work]:
        office, draw = self._office, self._draw
        batches = [name for name, *_ in office.batches()]
        if self._unread:
            sheet = self._unread.pop(0)
            if draw.random() < 0.3:
                return "plan", partial(self._plan, sheet)
            return "run", partial(office.run_sheet, sheet)
        if not batches:
            sheet = draw.choice(list(office.inspector.sheets.values()))
            return "run", partial(office.run_sheet, sheet)
        name = draw.choice(batches)
        if self._scenario.regrets and draw.random() < self._scenario.regrets:
            return "cancel", partial(self._cancel, name)
        choices: list[tuple[str, Work]] = [
            ("resume", partial(office.resume, None)),
            ("resume", partial(office.resume, name)),
            ("run", partial(office.run_batch, name)),
            ("retry", partial(office.retry, name)),
            ("track", partial(self._track, name)),
            ("resolve", partial(self._resolve, name)),
        ]
        return draw.choice(choices)

    def _guest(self) -> tuple[str, Work]:
        """A command that somebody gives while another one is at work."""
        office, draw = self._office, self._draw
        batches = [name for name, *_ in office.batches()]
        sheet = draw.choice(list(office.inspector.sheets.values()))
        if not batches or draw.random() < 0.3:
            return "plan", partial(self._plan, sheet)
        name = draw.choice(batches)
        choices: list[tuple[str, Work]] = [
            ("resume", partial(office.resume, name)),
            ("run", partial(office.run_sheet, sheet)),
            ("track", partial(self._track, name)),
            ("report", partial(self._report, name)),
            ("resolve", partial(self._resolve, name)),
        ]
        return draw.choice(choices)

    async def _plan(self, sheet: Sheet, desk: Desk, _talk: Talk) -> object:
        return await proposing.plan(desk, sheet.path, Reading())

    async def _report(self, name: str, desk: Desk, _talk: Talk) -> object:
        return reporting.write_reports(desk, desk.batch(name), [self._office.folder / "reports" / "guest.csv"])

    async def _track(self, name: str, desk: Desk, talk: Talk) -> object:
        until = desk.clock.now().wall + 600.0
        return await track(desk, name, [self._office.folder / "reports" / "track.csv"], talk, until)

    async def _cancel(self, name: str, desk: Desk, talk: Talk) -> object:
        """Somebody takes back what is still open, or some of it."""
        rows = frozenset(range(2, 2 + self._draw.choice((3, 20)))) if self._draw.random() < 0.5 else frozenset()
        return await commands.cancel(desk, name, rows, [self._office.folder / "reports" / "cancel.csv"], talk)

    async def _resolve(self, name: str, desk: Desk, talk: Talk) -> object:
        """A person settles what they can be sure of."""
        for row, device, attempt in self._office.doubts(name):
            answer = self._truth(name, row, device, attempt)
            if answer is not None:
                accepted, action_id = answer
                self._office.inspector.settled_by_people.add((name, row))
                await resolve(desk, name, row, accepted=accepted, action_id=action_id, note="seen in the portal")
        return None

    def _truth(self, name: str, row: int, device: str, attempt: int) -> tuple[bool, str] | None:
        """What the portal shows, at last: accepted and with which action, or not; None as long as it may change."""
        tenant = self._office.tenant.tenant
        for action in tenant.actions.values():
            token = TOKEN.search(action.comment)
            if token and token.groups() == (name, str(row), str(attempt)):
                return True, action.id
        path = f"/api/machines/{device}/offboard"
        calls = [each for each in self._office.net.record.exchanges if each.path == path]
        last = max((each.ended or float("inf") for each in calls), default=0.0)
        certain = last + self._scenario.longest_lag + 5.0 < self._office.loop.time()
        return (False, "") if certain else None

    # -- calm --

    async def _calm(self) -> None:
        """The faults have stopped: every batch comes to its end, by itself or with a person's help."""
        office, chosen = self._office, self._scenario
        self._nature.end()
        began = office.loop.time()
        await asyncio.sleep(2.0)
        await self._run_the_rest()
        tried: set[str] = set()
        for number in range(self._most_rounds()):
            before = office.batches()
            left = [(name, state, jobs) for name, state, jobs in before if state != "finished"]
            left = [each for each in left if each[1] != "planned" or each[0] not in tried]
            if not left:
                break
            for name, state, _ in left:
                tried.add(name)
                work = office.run_batch if state == "planned" else office.resume
                await office.give("calm", partial(work, name))
            if office.batches() == before:  # each said to try again later: the hour's quota was used up
                await asyncio.sleep(3600.0)
            if any(jobs.get("in_doubt") for *_, jobs in office.batches()):
                await asyncio.sleep(chosen.horizon + chosen.longest_lag + 60.0)
                if number >= 2 or not chosen.readable:
                    await self._settle_by_people()
        else:
            office.inspector.found("I18", "a calm run comes to its end", f"left over: {office.batches()}")
        self._ended_in_time(office.loop.time() - began, number)
        office.stop_if_something_was_found()

    async def _run_the_rest(self) -> None:
        """Sheets that have no batch, because nobody came to them or something befell whoever did."""
        office = self._office
        planned = {sha256 for sha256, _ in office.planned()}
        for sha256, sheet in office.inspector.sheets.items():
            if sha256 in planned:
                continue
            ended = await office.give("run", partial(office.run_sheet, sheet))
            if sha256 not in {each for each, _ in office.planned()}:
                office.inspector.found("I18", "in calm a sheet can be run", f"{sheet.path.name}: {ended.error!r}")

    def _most_rounds(self) -> int:
        return 12 + 2 * (len(self._office.devices) - len(self._office.known & set(self._office.devices))) + 30

    def _ended_in_time(self, took: float, rounds: int) -> None:
        chosen = self._scenario
        calls = 3 * chosen.devices * chosen.sheets
        most = calls * 3600.0 / min(chosen.per_hour * chosen.server_share, 60 * chosen.per_minute)
        most += (rounds + 4) * (chosen.horizon + chosen.longest_lag + 3 * 3600.0)
        if took > most:
            self._office.inspector.found("I18", "a calm run ends in time", f"{took:.0f} s, not {most:.0f} s")

    async def _settle_by_people(self) -> None:
        for name, _, jobs in self._office.batches():
            if jobs.get("in_doubt"):
                await self._office.give("resolve", partial(self._resolve, name))

    async def _resuming_again_changes_nothing(self) -> None:
        """When all is over, another `resume` sends nothing and reports the same."""
        office = self._office
        if self._draw.random() > self._scenario.resumed_again:
            return
        await asyncio.sleep(SETTLED)
        for name, state, _ in office.batches():
            if state == "planned":
                continue
            told = []
            for _ in range(2):
                posts = sum(each.method == "POST" for each in office.net.record.exchanges)
                await office.give("again", partial(office.resume, name))
                more = sum(each.method == "POST" for each in office.net.record.exchanges) - posts
                told.append((more, office.reports()[0].read_bytes()))
            if told[0][0] or told[1][0]:
                office.inspector.found("I12", "resuming a finished batch sends nothing", f"{name}: {told[0][0]} calls")
            if told[0][1] != told[1][1]:
                office.inspector.found("I12", "resuming a finished batch reports the same", name)
        office.stop_if_something_was_found()

    # -- what it came to --

    def _told(self) -> Told:
        office = self._office
        faults = office.faults.copy()
        faults.update(f"network: {each.mishap}" for each in office.net.record.exchanges if each.mishap)
        faults.update(f"tenant: {call.fault.partition(':')[0]}" for call in office.tenant.tenant.calls if call.fault)
        groups = Counter(group_of(each) for each in office.net.record.exchanges)
        return Told(
            scenario=self._scenario,
            called=len({each.path for each in office.net.record.exchanges if group_of(each) == "offboard"}),
            calls=groups["offboard"],
            cancels=groups["cancel"],
            reads=groups["read"],
            processes=len(office.host.processes),
            faults=faults,
            digest=self._digest(),
            seconds=office.loop.time(),
            steps=office.host.taken,
        )

    def _digest(self) -> str:
        """Of everything that another run of the same seed must repeat."""
        office = self._office
        sums = hashlib.sha256("\n".join(office.net.record.lines).encode())
        for line in office.journal_lines():
            sums.update(line.replace(str(office.folder), "FOLDER").encode())
        inbox = sorted((office.folder / "inbox").rglob("*.*"))
        sums.update("\n".join(str(path.relative_to(office.folder)) for path in inbox).encode())
        for path in sorted((office.folder / "reports").glob("*.[cj]s*")):
            sums.update(path.read_bytes().replace(str(office.folder).encode(), b"FOLDER"))
        return sums.hexdigest()
