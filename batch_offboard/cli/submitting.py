"""One function for each command: it collects the options, runs the command, and shows the result.

What a command needs is imported inside it, so that `--help` and the quick commands stay quick.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from batch_offboard.base.errors import ExitCode, UsageError
from batch_offboard.cli import completing
from batch_offboard.cli import options as given
from batch_offboard.cli.app import app
from batch_offboard.cli.groups import grouped
from batch_offboard.cli.running import awaited
from batch_offboard.cli.standard_input import sheet_at
from batch_offboard.cli.working import (
    agreed_and_sent,
    choice_of,
    end_of_run,
    formats_of,
    options_of,
    reading_of,
    report_paths,
    tracked,
    working,
)


@app.command(epilog="Example: batch-offboard plan devices.xlsx")
@grouped
def plan(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Spreadsheet, CSV, or plain list of device IDs; - is standard input.")
    ],
    *,
    comment: given.Comment = None,
    reading: given.Reading,
    max_devices: given.MaxDevices = None,
    no_lookup: given.NoLookup = False,
    offboard_again: given.OffboardAgain = False,
    where: given.Where,
    output: given.Output,
) -> int:
    """Read and check a sheet and save it as a batch; sends nothing."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts, proposing, views
    from batch_offboard.commands.desk import Desk

    chosen = replace(
        options_of(where),
        comment=comment,
        max_devices=max_devices,
        lookup=not no_lookup,
        offboard_again=offboard_again,
    )
    how = reading_of(reading)
    with Desk(chosen, create=True) as desk:
        view = awaited(proposing.plan(desk, sheet_at(chosen.cwd, str(file)), how), speed=chosen.speed)
    text = screens_json.dump(facts.plan_facts(view)) if output.json else screens.plan_text(view)
    screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    return views.exit_code_of_plan(view)


@app.command(name="run", epilog="Example: batch-offboard run devices.xlsx --comment 'Decommissioned, CHG0042'")
@grouped
def run_(
    file_or_batch: Annotated[
        str,
        typer.Argument(
            metavar="FILE|BATCH",
            help="Spreadsheet to plan and run, - for standard input, or a saved plan.",
            autocompletion=completing.batches_or_files,
        ),
    ],
    *,
    planned: given.Planning,
    part: given.Part,
    dry_run: given.DryRun = False,
    sending: given.Sending,
    where: given.Where,
    output: given.Output,
) -> int:
    """The main job: plan (if a file), confirm, submit, report."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts, proposing, views
    from batch_offboard.commands.desk import Desk

    chosen = replace(
        options_of(where, sending=sending, batch=file_or_batch),
        comment=planned.comment,
        offboard_again=planned.offboard_again,
    )
    path = sheet_at(chosen.cwd, file_or_batch)
    if not path.exists() and any(sign in file_or_batch for sign in "./\\"):
        raise UsageError(f"{path} does not exist; check the path.")
    if not path.exists() and planned != given.Planning():
        raise UsageError(
            f"{path} does not exist, and a batch keeps the comment, the reading and --offboard-again that it was "
            "planned with; check the name, or leave these options out."
        )
    reports = report_paths(chosen, sending.report)
    how, choice = reading_of(planned.reading), choice_of(part)
    sheet = path if path.exists() else None
    if dry_run:
        with Desk(chosen, create=sheet is not None) as desk:
            say = screens.voice(quiet=output.quiet)
            proposed = proposing.propose(desk, sheet, file_or_batch, how, choice, say)
            seen = awaited(proposed, speed=chosen.speed).view
        text = screens_json.dump(facts.plan_facts(seen)) if output.json else screens.plan_text(seen)
        screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
        return views.exit_code_of_plan(seen)
    sends = ("run", file_or_batch)
    with working(chosen, reports, output, create=sheet is not None, sends=sends) as (desk, talk):
        proposed = proposing.propose(desk, sheet, file_or_batch, how, choice, talk.say)
        view = agreed_and_sent(desk, awaited(proposed, speed=chosen.speed), reports, talk, output)
        ending = tracked(desk, view, reports, talk) if sending.track else view
    return end_of_run(ending, chosen, output)


@app.command(epilog="Example: batch-offboard resume")
@grouped
def resume(
    batch: Annotated[
        str | None,
        typer.Argument(
            metavar="BATCH",
            help="Batch ID [default: this tenant's newest unfinished batch].",
            autocompletion=completing.batches,
        ),
    ] = None,
    *,
    sending: given.Sending,
    where: given.Where,
    output: given.Output,
) -> int:
    """Continue an interrupted batch."""
    from batch_offboard.commands import run

    chosen = options_of(where, sending=sending, batch=batch)
    reports = report_paths(chosen, sending.report)
    sends = ("resume", *([batch] if batch else []))
    with working(chosen, reports, output, sends=sends) as (desk, talk):
        found = desk.batch(batch, begun=True) if batch else None
        view = awaited(run.resume(desk, found, reports, talk), speed=chosen.speed)
        ending = tracked(desk, view, reports, talk) if sending.track else view
    return end_of_run(ending, chosen, output)


@app.command(epilog="Example: batch-offboard retry 20261124-0815-kqzt")
@grouped
def retry(batch: given.BatchName, *, where: given.Where, sending: given.Sending, output: given.Output) -> int:
    """Send the failed rows of a batch again, and no others."""
    from batch_offboard.commands import proposing

    chosen = options_of(where, sending=sending, batch=batch)
    reports = report_paths(chosen, sending.report)
    with working(chosen, reports, output, sends=("retry", batch)) as (desk, talk):
        view = agreed_and_sent(desk, proposing.propose_retry(desk, batch), reports, talk, output)
        ending = tracked(desk, view, reports, talk) if sending.track else view
    return end_of_run(ending, chosen, output)


@app.command(epilog="Example: batch-offboard report 20261124-0815-kqzt --format csv,json")
@grouped
def report(
    batch: given.BatchName,
    *,
    report: given.ReportPaths = None,
    formats: Annotated[
        str,
        typer.Option("--format", metavar="LIST", help="csv, xlsx, json, html, separated by commas, into reports/."),
    ] = "csv,xlsx,html",
    where: given.Where,
    output: given.Output,
) -> int:
    """Write the report of a batch again, from the journal alone."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts, reporting
    from batch_offboard.commands.desk import Desk

    chosen = options_of(where, batch=batch)
    with Desk(chosen) as desk:
        found = desk.batch(batch)
        paths = report_paths(chosen, report) or reporting.default_reports(chosen.cwd, found, formats_of(formats))
        written = reporting.write_reports(desk, found, paths)
    screens.show(
        screens_json.dump(facts.paths_facts(written)) if output.json else screens.paths_text(written),
        quiet=output.quiet and not output.json,
    )
    return ExitCode.OK


@app.command(name="list", epilog="Example: batch-offboard list --state stopped --limit 10")
@grouped
def list_(
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="The newest N only.")] = None,
    state: Annotated[
        list[given.BatchState] | None,
        typer.Option("--state", metavar="STATE", help=f"Only these: {', '.join(given.BatchState)}; repeatable."),
    ] = None,
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="TEXT", help="Only tenants and applications whose ID has this part.")
    ] = "",
    *,
    where: given.Where,
    output: given.Output,
) -> int:
    """List the batches, newest first, without outdated plans."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.cli.terminal import width_of
    from batch_offboard.commands import asking, facts
    from batch_offboard.commands.desk import Desk
    from batch_offboard.core.batches import BatchState, states_called

    states = frozenset[BatchState]().union(*(states_called(each) for each in state or ()))
    part = tenant.strip().lower()
    with Desk(options_of(where), create=True) as desk:
        view = asking.listed(desk, states, part, limit)
    chosen = bool(view.hidden or states or part or limit)
    table = screens.list_text(view.batches, width_of(sys.stdout), chosen=chosen, interrupted=view.interrupted)
    screens.show(screens_json.dump(facts.list_facts(view.batches)) if output.json else table)
    if view.hidden and not output.json:
        screens.voice(quiet=output.quiet)(screens.put_away_text(view.hidden))
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard forget 20261124-0815-kqzt")
@grouped
def forget(batch: given.BatchName, *, where: given.Where, output: given.Output) -> int:
    """Delete a plan that was never run."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import run
    from batch_offboard.commands.desk import Desk

    with Desk(options_of(where, batch=batch)) as desk:
        forgotten = run.forget(desk, batch)
    if output.json:
        screens.show(screens_json.dump({"batch": forgotten.batch_id, "forgotten": True}))
    else:
        screens.voice(quiet=output.quiet)(f"Plan {forgotten.batch_id} is forgotten; its sheet is untouched.")
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard show 20261124-0815-kqzt")
@grouped
def show(batch: given.BatchName, *, where: given.Where, output: given.Output) -> int:
    """Show one batch: request, result, next step."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import asking, facts
    from batch_offboard.commands.desk import Desk

    with Desk(options_of(where, batch=batch)) as desk:
        view = asking.look_at(desk, batch)
    if output.json:
        screens.show(screens_json.dump(facts.shown_facts(view)))
    else:
        text = screens.batch_text(
            view.batch, view.counts, view.skipped, view.open_actions, view.approvals, at_work=view.at_work
        )
        screens.show(text, prose=True)
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard explain 20261124-0815-kqzt 17")
@grouped
def explain(
    batch: given.BatchName,
    row_or_device: Annotated[
        str,
        typer.Argument(metavar="ROW-OR-DEVICE", help="Row number of the sheet, device ID, or computer name."),
    ],
    *,
    where: given.Where,
    output: given.Output,
) -> int:
    """Show one device's history: decision, attempts, answers, times."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import lives as screens_lives
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import asking, facts
    from batch_offboard.commands.desk import Desk

    with Desk(options_of(where, batch=batch)) as desk:
        found = desk.batch(batch)
        lives = asking.lives_of(desk, found, row_or_device)
    text = screens_json.dump(facts.lives_facts(found, lives)) if output.json else screens_lives.lives_text(found, lives)
    screens.show(text, prose=not output.json)
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard quota")
@grouped
def quota(where: given.Where, output: given.Output) -> int:
    """Show what is left of the quota, and when a call can start."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import asking, facts
    from batch_offboard.commands.desk import Desk

    with Desk(options_of(where), create=True) as desk:
        found = asking.quotas(desk)
    screens.show(
        screens_json.dump(facts.quotas_facts(found)) if output.json else screens.quotas_text(found),
        prose=not output.json,
    )
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard simulate --port 8765 --sheet devices.xlsx --fault 429=30@5")
@grouped
def simulate(tenant: given.Tenant) -> int:
    """Run an embedded Defender tenant on loopback to rehearse."""
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.cli.signals import SignalEnding
    from batch_offboard.commands import rehearsal

    wanted = rehearsal.TenantOptions(
        port=tenant.port,
        sheet=tenant.sheet,
        fleet=tenant.fleet,
        devices=tenant.devices,
        per_minute=tenant.per_minute,
        per_hour=tenant.per_hour,
        quota_mode=tenant.quota_mode,
        latency=tenant.latency,
        token=rehearsal.token_in(os.environ, tenant.token_env),
        faults=tuple(tenant.fault or ()),
        seed=tenant.seed,
    )
    ready = lambda url, count: screens.tenant_is_up(url, count, tenant.speed)  # noqa: E731
    awaited(rehearsal.serve(wanted, ready, SignalEnding()), speed=tenant.speed)
    return ExitCode.OK
