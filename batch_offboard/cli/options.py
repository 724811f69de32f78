"""The options that several commands share, each described once."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from batch_offboard.base.text import LONGEST_COMMENT
from batch_offboard.cli import completing


class ReportOutcome(StrEnum):
    """The outcomes that `--only` can choose from a report."""

    SUBMITTED = "submitted"
    FAILED = "failed"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"
    PENDING = "pending"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """The states that `list --state` takes."""

    PLANNED = "planned"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"


def _comment(text: str | None) -> str | None:
    """Check the length against the configuration's limit, so that both accept the same comments."""
    if text is not None and len(text) > LONGEST_COMMENT:
        raise typer.BadParameter(f"has {len(text)} characters; at most {LONGEST_COMMENT} are allowed.")
    return text


def _positive(value: float) -> float:
    if not 1 <= value <= 10_000:
        raise typer.BadParameter("must be from 1 to 10000.")
    return value


ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="Configuration file [default: $BATCH_OFFBOARD_CONFIG, else config.yaml].",
    ),
]
JournalPath = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="PATH",
        help="Journal file [default: the configuration's, else in the user's state folder].",
    ),
]
ReportPaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="PATH",
        help="Write the report here; .csv, .xlsx, .json or .html picks the format; repeatable "
        "[default: reports/BATCH.csv, .xlsx and .html].",
    ),
]
Comment = Annotated[
    str | None,
    typer.Option(
        "--comment",
        metavar="TEXT",
        callback=_comment,
        help="Why the devices are offboarded; written into every machine action.",
    ),
]
Sheet = Annotated[str | None, typer.Option("--sheet", metavar="NAME", help="Sheet of the workbook, by name or number.")]
IdColumn = Annotated[
    str | None,
    typer.Option("--id-column", metavar="COLUMN", help="Column with the device IDs, by header, letter or number."),
]
NameColumn = Annotated[
    str | None,
    typer.Option(
        "--name-column", metavar="COLUMN", help="Column with the computer names, by header, letter or number."
    ),
]
VisibleOnly = Annotated[bool, typer.Option("--visible-only", help="Skip hidden and filtered-out rows.")]
IncludeHidden = Annotated[bool, typer.Option("--include-hidden", help="Take hidden and filtered-out rows as well.")]
MultilineText = Annotated[
    bool,
    typer.Option("--multiline-text", help="Take lines inside quoted cells as text, even if they look like rows."),
]
Only = Annotated[
    list[ReportOutcome] | None,
    typer.Option(
        "--only",
        metavar="OUTCOME",
        case_sensitive=False,
        help=f"From a report, take only rows with this outcome: {', '.join(ReportOutcome)}; repeatable.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Send the first N devices only; the others stay pending."),
]
Rows = Annotated[
    str | None,
    typer.Option("--rows", metavar="ROWS", help="Send these rows of the sheet only, such as 2-20 or 2-20,25."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", "--what-if", help="Show the plan and send nothing, as `plan` does.")]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation; guards still apply.")]
MaxDevices = Annotated[
    int | None,
    typer.Option("--max-devices", metavar="N", min=1, help="Refuse a larger run [default: guards.max_devices]."),
]
ContinueAfterFailures = Annotated[
    bool,
    typer.Option(
        "--continue-after-failures",
        help="Do not stop when one of the first five calls is refused [default: guards.continue_after_failures].",
    ),
]
StopFile = Annotated[
    Path | None,
    typer.Option(
        "--stop-file",
        metavar="PATH",
        help="Start nothing while this file exists, and stop when it appears [default: guards.stop_file].",
    ),
]
NoLookup = Annotated[
    bool,
    typer.Option("--no-lookup", help="Do not ask the tenant which of the devices may be offboarded."),
]
OffboardAgain = Annotated[
    bool,
    typer.Option(
        "--offboard-again",
        help="If the tenant cannot be asked, send devices again that were offboarded before.",
    ),
]
Track = Annotated[
    bool, typer.Option("--track", help="Then follow the machine actions, as `track` does, until each is final.")
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="TIME", help="Stop looking at this time: 06:30, or 2026-11-25T06:30."),
]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Stop looking after 45m, 2h, 3d.")]
CancelComment = Annotated[
    str | None,
    typer.Option("--comment", metavar="TEXT", callback=_comment, help="Why; written into the cancelled action."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Only print errors.")]
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Rehearse against an embedded tenant; needs no configuration.")
]
Speed = Annotated[
    float,
    typer.Option("--speed", metavar="N", callback=_positive, help="With --simulate: make time pass N times faster."),
]
Faults = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="SPEC",
        help="With --simulate: a fault to rehearse; repeatable; --fault help lists them.",
    ),
]
TenantFaults = Annotated[
    list[str] | None,
    typer.Option("--fault", metavar="SPEC", help="A fault to rehearse; repeatable; --fault help lists them all."),
]
TenantSpeed = Annotated[
    float,
    typer.Option("--speed", metavar="N", callback=_positive, help="Make the tenant's time pass N times faster."),
]
BatchName = Annotated[
    str,
    typer.Argument(
        metavar="BATCH",
        help="Batch ID, a unique part of it, or latest.",
        autocompletion=completing.batches,
    ),
]
EnvFile = Annotated[
    Path | None,
    typer.Option("--env-file", metavar="PATH", help="Set the variables in this file first, one NAME=value per line."),
]


# ── groups: options that several commands share, expanded by `groups.grouped` ───────────────────────────────


@dataclass(frozen=True, slots=True)
class Where:
    """Which journal and whose tenant."""

    config: ConfigPath = None
    journal: JournalPath = None
    simulate: Simulate = False


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How the embedded tenant behaves."""

    speed: Speed = 1
    fault: Faults = None


@dataclass(frozen=True, slots=True)
class Sending:
    """How `run`, `resume` and `retry` process a batch."""

    report: ReportPaths = None
    max_devices: MaxDevices = None
    no_lookup: NoLookup = False
    stop_file: StopFile = None
    continue_after_failures: ContinueAfterFailures = False
    track: Track = False
    rehearsal: Rehearsal = field(default_factory=Rehearsal)


@dataclass(frozen=True, slots=True)
class Part:
    """Which of the plan's devices `run` sends."""

    limit: Limit = None
    rows: Rows = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a sheet is read."""

    sheet: Sheet = None
    id_column: IdColumn = None
    name_column: NameColumn = None
    visible_only: VisibleOnly = False
    include_hidden: IncludeHidden = False
    multiline_text: MultilineText = False
    only: Only = None


@dataclass(frozen=True, slots=True)
class Talk:
    """What is printed and asked. A script may pass --yes to every command, even to one that would ask nothing."""

    quiet: Quiet = False
    yes: Yes = False


@dataclass(frozen=True, slots=True)
class Output(Talk):
    """What is printed."""

    json: Json = False


@dataclass(frozen=True, slots=True)
class Planning:
    """Options stored with a plan: given when the plan is made, not when it is run."""

    comment: Comment = None
    reading: Reading = field(default_factory=Reading)
    offboard_again: OffboardAgain = False


@dataclass(frozen=True, slots=True)
class Tenant:
    """The embedded tenant of `simulate`."""

    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 takes any free one.")] = 0
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="The tenant has the devices of this sheet.")
    ] = None
    fleet: Annotated[
        Path | None,
        typer.Option(
            "--fleet", metavar="FILE", help="The tenant has these machines: JSON as the API lists them, or CSV."
        ),
    ] = None
    devices: Annotated[
        int, typer.Option("--devices", metavar="N", min=0, help="The tenant has N invented devices.")
    ] = 0
    per_minute: Annotated[int, typer.Option("--per-minute", metavar="N", min=1, help="Calls a minute.")] = 100
    per_hour: Annotated[int, typer.Option("--per-hour", metavar="N", min=1, help="Calls an hour.")] = 1500
    quota_mode: Annotated[
        str,
        typer.Option("--quota-mode", metavar="MODE", help="How calls are counted: sliding, fixed, bucket or smooth."),
    ] = "sliding"
    latency: Annotated[
        str, typer.Option("--latency", metavar="FROM-TO", help="Network latency of a call in seconds.")
    ] = "0.02-0.2"
    token_env: Annotated[
        str | None, typer.Option("--token-env", metavar="NAME", help="Accept only the token in this variable.")
    ] = None
    fault: TenantFaults = None
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of what happens at random.")] = 0
    speed: TenantSpeed = 1
