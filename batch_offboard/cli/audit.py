"""`audit`: the tamper-evident record of who did what."""

import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from batch_offboard.base.errors import ExitCode, UsageError
from batch_offboard.cli import completing
from batch_offboard.cli import options as given
from batch_offboard.cli.groups import grouped
from batch_offboard.cli.times import moment_in_iso
from batch_offboard.cli.working import options_of

app = typer.Typer(
    name="audit",
    help="Verify or export the tamper-evident record of who did what and when.",
    epilog="Example: batch-offboard audit verify",
    rich_markup_mode=None,
    no_args_is_help=True,
)


class ExportFormat(StrEnum):
    """Values of `--format`."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command(epilog="Example: batch-offboard audit verify --json")
@grouped
def verify(
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="N:HASH",
            help="Anchor from a report or a log that the record must contain; repeatable.",
        ),
    ] = None,
    *,
    where: given.Where,
    output: given.Output,
) -> int:
    """Verify that the record is complete: exit code 0 if it is, 4 if it was changed or cut."""
    from batch_offboard.cli.screens import audit as screens_audit
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import auditing, facts
    from batch_offboard.commands.desk import Desk
    from batch_offboard.core.audit import Anchor

    try:
        anchors = [Anchor.parse(text) for text in anchor or []]
    except ValueError as error:
        raise UsageError(f"--anchor: {error}.") from None
    with Desk(options_of(where)) as desk:
        view = auditing.verify(desk, anchors)
    text = screens_json.dump(facts.audit_facts(view)) if output.json else screens_audit.audit_text(view)
    screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    return view.exit_code


def _form_of(output: Path | None) -> ExportFormat:
    """The format that the output's suffix stands for. Raises UsageError if it is not one of an export."""
    suffix = output.suffix.lower() if output is not None else ""
    if suffix in ("", ".jsonl", ".ndjson", ".json", ".txt"):
        return ExportFormat.JSONL
    if suffix == ".csv":
        return ExportFormat.CSV
    raise UsageError(
        f"--output {output} ends with {suffix}, but an export is .jsonl or .csv; rename it, or give --format."
    )


@app.command(epilog="Example: batch-offboard audit export --since 2026-11-01 --output november.csv")
@grouped
def export(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="From this time on: 2026-11-24, or 2026-11-24T22:00."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")] = None,
    batch: Annotated[
        str | None,
        typer.Option("--batch", metavar="BATCH", help="Only records of this batch.", autocompletion=completing.batches),
    ] = None,
    form: Annotated[
        ExportFormat | None,
        typer.Option("--format", metavar="FORMAT", help="jsonl or csv [default: by the output's suffix]."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="PATH", help="File to write [default: standard output].")
    ] = None,
    *,
    where: given.Where,
    talk: given.Talk,
) -> int:
    """Export the records, one JSON object or one CSV row each; the journal keeps them."""
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import auditing
    from batch_offboard.commands.desk import Desk

    now = datetime.now().astimezone()
    start, end = (moment_in_iso(text, now).timestamp() if text else None for text in (since, until))
    chosen = options_of(where, batch=batch)
    written = form or _form_of(output)
    with Desk(chosen) as desk:
        found = auditing.chosen(desk, start, end, auditing.batch_named(desk, batch) if batch else None)
        if output is None:
            auditing.write_export(sys.stdout, written, found)
            return ExitCode.OK
        path, number = auditing.export_to(chosen.cwd / output, written, found, desk.journal.path)
    screens.voice(quiet=talk.quiet)(f"{number} records exported.")
    screens.show(str(path), quiet=talk.quiet)
    return ExitCode.OK
