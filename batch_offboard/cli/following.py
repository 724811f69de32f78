"""The commands used before and after the calls: check, track, cancel, resolve.

What a command needs is imported inside it, so that `--help` and the quick commands stay quick.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from batch_offboard.base.errors import ExitCode
from batch_offboard.cli import completing
from batch_offboard.cli import options as given
from batch_offboard.cli.app import app
from batch_offboard.cli.groups import grouped
from batch_offboard.cli.running import awaited
from batch_offboard.cli.times import deadline
from batch_offboard.cli.working import options_of, report_paths, send_notice, working


class Word(StrEnum):
    """What a person says about a row in doubt."""

    ACCEPTED = "accepted"
    NOT_ACCEPTED = "not-accepted"


@app.command(epilog="Example: batch-offboard check")
@grouped
def check(where: given.Where, output: given.Output) -> int:
    """Check configuration, sign-in, permissions, network and clock."""
    from batch_offboard.cli.screens import following as screens_following
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import checkup, facts

    view = awaited(checkup.check(options_of(where)))
    text = screens_json.dump(facts.check_facts(view)) if output.json else screens_following.check_text(view)
    screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    return view.exit_code


@app.command(epilog="Example: batch-offboard track 20261124-0815-kqzt --for 2h")
@grouped
def track(
    batch: Annotated[
        str | None,
        typer.Argument(
            metavar="BATCH",
            help="Batch ID [default: this tenant's newest batch with open machine actions].",
            autocompletion=completing.batches,
        ),
    ] = None,
    *,
    report: given.ReportPaths = None,
    until: given.Until = None,
    duration: given.For = None,
    rehearsal: given.Rehearsal,
    where: given.Where,
    output: given.Output,
) -> int:
    """Follow the machine actions until each is final; may run days later."""
    from batch_offboard.cli.screens import following as screens_following
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts, tracking

    chosen = options_of(where, rehearsal=rehearsal, batch=batch)
    end = deadline(until, duration, datetime.now().astimezone())
    with working(chosen, report_paths(chosen, report), output) as (desk, talk):
        followed = tracking.track(desk, batch, report_paths(chosen, report), talk, end)
        view = awaited(followed, speed=chosen.speed)
    if output.json:
        screens.show(screens_json.dump(facts.track_facts(view)))
    elif not output.quiet:
        screens.show(screens_following.track_text(view), prose=True)
    return view.exit_code


@app.command(epilog="Example: batch-offboard cancel 20261124-0815-kqzt --row 17 --row 18")
@grouped
def cancel(
    batch: given.BatchName,
    row: Annotated[
        list[int] | None,
        typer.Option("--row", metavar="N", min=1, help="Only the action of this row of the sheet; repeatable."),
    ] = None,
    *,
    report: given.ReportPaths = None,
    comment: given.CancelComment = None,
    rehearsal: given.Rehearsal,
    where: given.Where,
    output: given.Output,
) -> int:
    """Cancel the open machine actions of this batch, no others."""
    from batch_offboard.cli.screens import following as screens_following
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import cancelling, facts
    from batch_offboard.commands.clearing import refusals_recorded
    from batch_offboard.core.consent import Consent
    from batch_offboard.notices import telling

    chosen = replace(options_of(where, rehearsal=rehearsal, batch=batch), comment=comment)
    reports = report_paths(chosen, report)
    with working(chosen, reports, output) as (desk, talk):
        found = cancelling.propose_cancel(desk, batch, frozenset(row or ()), talk)
        proposal = awaited(found, speed=chosen.speed)
        with refusals_recorded(desk, proposal.batch):
            how = screens_following.confirm_cancel(
                proposal.batch, len(proposal.actions), yes=output.yes, quiet=output.quiet
            )
        cancelled = cancelling.cancel(desk, proposal, Consent(chosen.actor, how), reports, talk)
        view = awaited(cancelled, speed=chosen.speed)
    if output.json:
        screens.show(screens_json.dump(facts.cancel_facts(view)))
    elif not output.quiet:
        screens.show(screens_following.cancel_text(view), prose=True)
    send_notice(chosen, telling.notice_of_cancellation(view), quiet=output.quiet)
    return view.exit_code


@app.command(epilog="Example: batch-offboard resolve 20261124-0815-kqzt 17 accepted --action-id 0b0f6f0e-52a1")
@grouped
def resolve(
    batch: given.BatchName,
    row: Annotated[int, typer.Argument(metavar="ROW", min=1, help="Row number of the sheet.")],
    word: Annotated[
        Word,
        typer.Argument(metavar="accepted|not-accepted", help="What you found in the device's action centre."),
    ],
    *,
    action_id: Annotated[
        str, typer.Option("--action-id", metavar="ID", help="The machine action, if you found one.")
    ] = "",
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why, for the record.")] = "",
    where: given.Where,
    output: given.Output,
) -> int:
    """Settle a row in doubt by hand, on the record."""
    from batch_offboard.cli.screens import following as screens_following
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts, resolving
    from batch_offboard.commands.desk import Desk

    accepted = word is Word.ACCEPTED
    with Desk(options_of(where, batch=batch)) as desk:
        action_id = action_id.strip()
        settled = resolving.resolve(desk, batch, row, accepted=accepted, action_id=action_id, note=comment)
        view = awaited(settled)
    if output.json:
        screens.show(screens_json.dump(facts.resolve_facts(view)))
    elif not output.quiet:
        screens.show(screens_following.resolve_text(view), prose=True)
    return ExitCode.OK
