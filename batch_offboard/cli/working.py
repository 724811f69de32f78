"""Shared by the commands: collect the options, open a desk, show the end of a run."""

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from batch_offboard.base.errors import BatchOffboardError, UsageError
from batch_offboard.cli import options as given
from batch_offboard.cli.running import awaited

if TYPE_CHECKING:
    from batch_offboard.commands.desk import Desk
    from batch_offboard.commands.options import Options
    from batch_offboard.commands.plans import Reading
    from batch_offboard.commands.tracking import TrackView
    from batch_offboard.commands.views import Proposal, RunView, Talk
    from batch_offboard.config import Inbox, Log
    from batch_offboard.core.selection import Choice
    from batch_offboard.notices.delivery import Delivery
    from batch_offboard.notices.notice import Notice


@contextmanager
def working(
    chosen: "Options",
    reports: list[Path],
    said: given.Talk,
    *,
    create: bool = False,
    sends: Sequence[str] = (),
) -> Iterator[tuple["Desk", "Talk"]]:
    """Open a desk and the command's output. A report that cannot be written is refused before anything is sent.
    `sends`: the command and its argument, if it sends devices; a notice is sent if it fails unattended."""
    from batch_offboard.base import logs
    from batch_offboard.cli.display import observer_for
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.cli.signals import SignalEnding
    from batch_offboard.commands import views
    from batch_offboard.commands.desk import Desk
    from batch_offboard.reports.files import writer_for

    for path in reports:
        writer_for(path)
    watching = views.logged(observer_for(sys.stderr, quiet=said.quiet))
    talk = views.Talk(watching, logs.heard(screens.voice(quiet=said.quiet)), SignalEnding())
    try:
        with Desk(chosen, create=create) as desk:
            yield desk, talk
    except Exception as error:
        known = isinstance(error, BatchOffboardError)
        logs.warning("command stopped", error=type(error).__name__, reason=str(error) if known else "")
        if sends and _is_unattended(chosen, yes=said.yes):
            _tell_of_refusal(chosen, error, sends, quiet=said.quiet)
        raise


def agreed_and_sent(
    desk: "Desk", proposal: "Proposal", reports: list[Path], talk: "Talk", output: given.Output
) -> "RunView":
    """Send what is proposed once the guards and the operator have agreed. Raises GuardError if they do not."""
    from batch_offboard.base.errors import ApprovalError
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import run
    from batch_offboard.commands.clearing import check_guards, refusals_recorded
    from batch_offboard.core.consent import Consent

    try:
        check_guards(desk, proposal)
    except ApprovalError:
        _show_waiting(desk, proposal, output)
        raise
    with refusals_recorded(desk, proposal.batch):
        how = screens.confirm(proposal.view, yes=output.yes, quiet=output.quiet)
    consent = Consent(desk.options.actor, how)
    return awaited(run.send(desk, proposal, consent, reports, talk), speed=desk.options.speed)


def _show_waiting(desk: "Desk", proposal: "Proposal", output: given.Output) -> None:
    """Show a plan that lacks an approval of a run by this person."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts
    from batch_offboard.commands.clearing import approvals

    view = replace(proposal.view, approvals=approvals(desk, proposal.batch, desk.options.actor.person))
    if output.json:
        screens.show(screens_json.dump(facts.plan_facts(view)))
    else:
        screens.voice(quiet=output.quiet)(screens.plan_text(view))


def tracked(desk: "Desk", view: "RunView", reports: list[Path], talk: "Talk") -> "RunView | TrackView":
    """Follow the run's machine actions until each is final, unless the run was stopped early."""
    from batch_offboard.base.errors import ExitCode
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import tracking

    if view.exit_code not in (ExitCode.OK, ExitCode.ROWS_FAILED):
        return view
    talk.say(screens.run_text(view))
    return awaited(tracking.track(desk, view.batch.batch_id, reports, talk), speed=desk.options.speed)


def end_of_run(view: "RunView | TrackView", chosen: "Options", output: given.Output) -> int:
    from batch_offboard.cli.screens import following as screens_following
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import facts
    from batch_offboard.commands.tracking import TrackView
    from batch_offboard.notices.telling import has_sent, notice_of_run

    if isinstance(view, TrackView):
        text = screens_json.dump(facts.track_facts(view)) if output.json else screens_following.track_text(view)
        screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    elif output.json:
        screens.show(screens_json.dump(facts.run_facts(view)))
    elif not output.quiet:
        screens.voice(quiet=output.quiet)(screens.run_text(view))
        screens.show(screens.paths_text(view.reports))
    if has_sent(view) or _is_unattended(chosen, yes=output.yes):
        send_notice(chosen, notice_of_run(view), quiet=output.quiet)
    return view.exit_code


def _is_unattended(chosen: "Options", *, yes: bool) -> bool:
    """Whether a scheduler or a script started the command with consent to send: nobody reads its output."""
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    return chosen.unattended or (yes and not at_terminal)


def _tell_of_refusal(chosen: "Options", error: Exception, sends: Sequence[str], *, quiet: bool) -> None:
    from batch_offboard.base.shell import command_line
    from batch_offboard.notices.telling import is_worth_telling, notice_of_refusal, tenant_named

    if is_worth_telling(error, nightly=chosen.unattended):
        notice = notice_of_refusal(
            error,
            simulated=chosen.simulate,
            tenant=tenant_named(chosen),
            sheet=Path(sends[-1]).name if (chosen.cwd / sends[-1]).is_file() else "",
            next_command=command_line(["batch-offboard", *(_to_approve(error) or sends)]),
        )
        send_notice(chosen, notice, quiet=quiet)


def _to_approve(error: Exception) -> list[str]:
    """The command that another person must type before the run; empty if no approval is missing."""
    from batch_offboard.base.errors import ApprovalError

    return ["approve", error.waits] if isinstance(error, ApprovalError) and error.waits else []


def send_notice(chosen: "Options", notice: "Notice", *, quiet: bool) -> None:
    """Send a notice over every configured channel, and show which channels failed."""
    from batch_offboard.notices.delivery import Delivery
    from batch_offboard.notices.telling import tell_people

    try:
        deliveries = awaited(tell_people(chosen, notice))
    except KeyboardInterrupt:
        deliveries = [Delivery("any way", "interrupted")]
    _show_deliveries(deliveries, quiet=quiet)


def _show_deliveries(deliveries: "list[Delivery]", *, quiet: bool) -> None:
    """A delivery is a message; a failed one is an error, which --quiet does not hide."""
    from batch_offboard.base import logs
    from batch_offboard.cli.screens import texts as screens

    for each in deliveries:
        (logs.info if each.delivered else logs.warning)("notice delivery", way=each.way, problem=each.problem)
        if each.delivered:
            screens.voice(quiet=quiet)(f"Sent a notice by {each.way}.")
        else:
            screens.voice(quiet=False)(f"No notice was sent by {each.way}: {each.problem}.")


def options_of(
    where: given.Where,
    *,
    batch: str | None = None,
    rehearsal: given.Rehearsal = given.Rehearsal(),  # noqa: B008  # frozen
    sending: given.Sending | None = None,
    unattended: bool = False,
) -> "Options":
    """A command's options, as the desk takes them; `sending` adds those of its group."""
    from batch_offboard.base.whoami import person
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands.options import Options
    from batch_offboard.core.actor import Actor
    from batch_offboard.core.batches import SIMULATED_PREFIX

    simulate = where.simulate or bool(batch and batch.startswith(SIMULATED_PREFIX) and not Path(batch).exists())
    rehearsal = rehearsal if sending is None else sending.rehearsal
    if not simulate and (rehearsal.speed != 1 or rehearsal.fault):
        raise UsageError(
            "--speed and --fault go with --simulate only, since a real tenant has its own time and its own faults; add "
            "--simulate, or leave them out."
        )
    chosen = Options(
        environ=os.environ,
        cwd=Path.cwd(),
        actor=Actor(person(os.environ), socket.gethostname(), "nightly" if unattended else "cli"),
        config=where.config,
        journal=where.journal,
        simulate=simulate,
        speed=rehearsal.speed,
        faults=tuple(rehearsal.fault or ()),
        unattended=unattended,
        tell=screens.voice(quiet=False),  # every command shows a person how to sign in
        configured=lambda config: keep_log(config.log, screens.voice(quiet=False)),
    )
    if sending is None:
        return chosen
    return replace(
        chosen,
        max_devices=sending.max_devices,
        lookup=not sending.no_lookup,
        stop_file=sending.stop_file,
        continue_after_failures=sending.continue_after_failures,
    )


def keep_log(settings: "Log", tell: Callable[[str], None]) -> None:
    """Log events from now until the program ends, if the configuration says so."""
    from batch_offboard.base import logs

    if settings.file is not None:
        size = int(settings.max_megabytes * 1e6)
        logs.open_log(logs.LogSettings(settings.file, settings.format, settings.level, size, settings.keep), tell)


def reading_of(chosen: given.Reading) -> "Reading":
    from batch_offboard.commands.plans import Reading
    from batch_offboard.sheets import HiddenRows

    if chosen.visible_only and chosen.include_hidden:
        raise UsageError("--visible-only and --include-hidden contradict each other; leave one out.")
    hidden = (
        HiddenRows.VISIBLE_ONLY
        if chosen.visible_only
        else HiddenRows.INCLUDE
        if chosen.include_hidden
        else HiddenRows.REFUSE
    )
    only = tuple(outcome.value for outcome in chosen.only or ())
    return Reading(chosen.sheet, chosen.id_column, chosen.name_column, hidden, only, chosen.multiline_text)


def reading_of_inbox(chosen: given.Reading, keys: "Inbox") -> "Reading":
    """How `nightly` reads sheets: by its options, else by the configuration."""
    hidden_given = chosen.visible_only or chosen.include_hidden
    return reading_of(
        replace(
            chosen,
            sheet=chosen.sheet or keys.sheet,
            id_column=chosen.id_column or keys.id_column,
            name_column=chosen.name_column or keys.name_column,
            visible_only=chosen.visible_only or (keys.visible_only and not hidden_given),
            include_hidden=chosen.include_hidden or (keys.include_hidden and not hidden_given),
            multiline_text=chosen.multiline_text or keys.multiline_text,
        )
    )


def choice_of(part: given.Part) -> "Choice":
    from batch_offboard.core.selection import Choice, parse_rows

    try:
        rows = parse_rows(part.rows) if part.rows is not None else ()
    except ValueError as error:
        raise UsageError(f"--rows {error}.") from None
    return Choice(rows, part.limit)


def report_paths(chosen: "Options", report: list[Path] | None) -> list[Path]:
    return [chosen.cwd / path for path in report or []]


def formats_of(text: str) -> list[str]:
    from batch_offboard.reports.rows import FORMATS

    formats = [word.strip().lower() for word in text.split(",") if word.strip()]
    unknown = [word for word in formats if word not in FORMATS]
    if unknown or not formats:
        known = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]}"
        raise UsageError(f"--format takes {known}, separated by commas, not {', '.join(unknown) or 'nothing'}.")
    return formats
