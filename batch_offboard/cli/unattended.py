"""`nightly`: the run that a scheduler starts.

What a command needs is imported inside it, so that `--help` and the quick commands stay quick.
"""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from batch_offboard.cli import options as given
from batch_offboard.cli.app import app
from batch_offboard.cli.groups import grouped
from batch_offboard.cli.running import awaited
from batch_offboard.cli.working import options_of, reading_of_inbox, send_notice, working


@app.command(epilog="Example: batch-offboard nightly --inbox inbox")
@grouped
def nightly(
    inbox: Annotated[
        Path,
        typer.Option("--inbox", metavar="DIR", help="The folder that the sheets are taken from, the oldest first."),
    ],
    *,
    reading: given.Reading,
    rehearsal: given.Rehearsal,
    stop_file: given.StopFile = None,
    where: given.Where,
    output: given.Output,
) -> int:
    """Finish open batches, then the sheets of a folder, unattended."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import nights as screens_nightly
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.unattended.nightly import order
    from batch_offboard.unattended.nightly.facts import night_facts
    from batch_offboard.unattended.nightly.inbox import copy_of
    from batch_offboard.unattended.nightly.telling import notice_of_missed_night, notice_of_night

    chosen = replace(options_of(where, rehearsal=rehearsal, unattended=True), stop_file=stop_file)
    sends = ("nightly", "--inbox", str(inbox))
    with (
        working(chosen, [], given.Talk(output.quiet, yes=True), create=True, sends=sends) as (desk, talk),
        copy_of(chosen.cwd / inbox) if chosen.simulate else nullcontext(inbox) as folder,
    ):
        if chosen.simulate:
            talk.say(
                f"SIMULATED: a nightly run over a copy of {inbox}; no sheet is moved and no real device is touched."
            )
        say = screens.voice(quiet=output.quiet)
        show = lambda plan: say(screens.plan_text(plan, and_then=False))  # noqa: E731
        night = order.nightly(desk, folder, talk, reading_of_inbox(reading, desk.inbox_keys()), show)
        view = awaited(night, speed=chosen.speed)
    text = screens_json.dump(night_facts(view)) if output.json else screens_nightly.night_text(view)
    screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    if view.missed:
        screens.voice(quiet=output.quiet)(f"No run began in the night of {view.missed}.")
        send_notice(chosen, notice_of_missed_night(view.missed, view.exit_code), quiet=output.quiet)
    if not view.is_quiet:
        send_notice(chosen, notice_of_night(view), quiet=output.quiet)
    return view.exit_code
