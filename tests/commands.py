"""Commands as a face calls them, for a person who agrees to every proposal."""

import inspect
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from batch_offboard.commands import cancelling, proposing, run
from batch_offboard.commands.cancelling import CancelView
from batch_offboard.commands.clearing import check_guards, refusals_recorded
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.proposing import EVERYTHING
from batch_offboard.commands.views import PlanView, Proposal, RunView, Talk
from batch_offboard.core.actor import Actor
from batch_offboard.core.batches import Batch
from batch_offboard.core.consent import Consent
from batch_offboard.core.selection import Choice

ANN = Actor("ann", "pc-7", "tests")
NO_READING = Reading()

Ask = Callable[[PlanView], object]


def agree(_view: PlanView) -> None:
    """Agree to everything."""


async def run_sheet(
    desk: Desk,
    sheet: Path,
    reading: Reading,
    reports: Sequence[Path],
    talk: Talk,
    choice: Choice = EVERYTHING,
    ask: Ask = agree,
) -> RunView:
    """Plan a sheet and send the proposal; `ask` raises GuardError if the person does not agree."""
    return await _sent(desk, await proposing.propose(desk, sheet, "", reading, choice, talk.say), reports, talk, ask)


async def run_batch(
    desk: Desk, name: str, reports: Sequence[Path], talk: Talk, choice: Choice = EVERYTHING, ask: Ask = agree
) -> RunView:
    """Send a saved plan."""
    return await _sent(
        desk, await proposing.propose(desk, None, name, NO_READING, choice, talk.say), reports, talk, ask
    )


async def retry(desk: Desk, name: str, reports: Sequence[Path], talk: Talk, ask: Ask = agree) -> RunView:
    """Send the failed rows of a batch again."""
    return await _sent(desk, proposing.propose_retry(desk, name), reports, talk, ask)


async def cancel(
    desk: Desk,
    name: str,
    rows: Collection[int],
    reports: Sequence[Path],
    talk: Talk,
    ask: Callable[[Batch, int], object] = lambda _batch, _actions: None,
) -> CancelView:
    """Cancel a batch's open machine actions."""
    proposal = await cancelling.propose_cancel(desk, name, rows, talk)
    with refusals_recorded(desk, proposal.batch):
        await _answered(ask(proposal.batch, len(proposal.actions)))
    return await cancelling.cancel(desk, proposal, Consent(desk.options.actor, "typed"), reports, talk)


async def _sent(desk: Desk, proposal: Proposal, reports: Sequence[Path], talk: Talk, ask: Ask) -> RunView:
    check_guards(desk, proposal)
    getattr(talk.observer, "asked", []).append(proposal.view)
    with refusals_recorded(desk, proposal.batch):
        await _answered(ask(proposal.view))
    return await run.send(desk, proposal, Consent(desk.options.actor, "typed"), reports, talk)


async def _answered(answer: object) -> None:
    """Await the person's answer if it is awaitable."""
    if inspect.isawaitable(answer):
        await answer
