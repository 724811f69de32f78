"""`schedule`: the nightly run as a job of the platform's scheduler."""

import getpass
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from batch_offboard import __version__
from batch_offboard.base.errors import ExitCode, UsageError
from batch_offboard.cli import options as given
from batch_offboard.cli.groups import grouped

if TYPE_CHECKING:
    from batch_offboard.config import Config
    from batch_offboard.unattended.schedule.job import Kind, Rendered
    from batch_offboard.unattended.schedule.planning import Machine, Wish
    from batch_offboard.unattended.schedule.schedulers import Scheduler, Standing

app = typer.Typer(
    name="schedule",
    help="Put the nightly run into the platform's scheduler, or remove it.",
    epilog="Example: batch-offboard schedule show",
    rich_markup_mode=None,
    no_args_is_help=True,
)


class SchedulerKind(StrEnum):
    """Values of `--kind`."""

    SYSTEMD_USER = "systemd-user"
    SYSTEMD_SYSTEM = "systemd-system"
    CRON = "cron"
    WINDOWS = "windows"
    KUBERNETES = "kubernetes"


KindOption = Annotated[
    SchedulerKind | None,
    typer.Option("--kind", metavar="KIND", help=f"{', '.join(SchedulerKind)} [default: the one found here]."),
]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the job in the scheduler.")]
DEFAULT_NAME = "batch-offboard-nightly"


@dataclass(frozen=True, slots=True)
class Job:
    """The run that a scheduler starts."""

    kind: KindOption = None
    at: Annotated[str, typer.Option("--at", metavar="HH:MM", help="When to start, in local time.")] = "22:00"
    days: Annotated[str, typer.Option("--days", metavar="DAYS", help="mon-fri, or sat,sun, or daily.")] = "daily"
    zone: Annotated[
        str | None, typer.Option("--zone", metavar="NAME", help="Time zone of --at [default: the machine's].")
    ] = None
    config: Annotated[
        str | None,
        typer.Option(
            "--config", metavar="PATH", help="Configuration file [default: $BATCH_OFFBOARD_CONFIG, else config.yaml]."
        ),
    ] = None
    journal: Annotated[
        str | None, typer.Option("--journal", metavar="PATH", help="Journal file [default: the configuration's].")
    ] = None
    env_file: Annotated[
        str | None,
        typer.Option("--env-file", metavar="PATH", help="File with the variables that hold the secrets, NAME=value."),
    ] = None
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="The account of a system service or a Windows task.")
    ] = None
    name: Name = DEFAULT_NAME
    catch_up: Annotated[
        bool | None,
        typer.Option(
            "--catch-up/--no-catch-up",
            help="Run a missed start once the machine is up [default: if the configuration has a window].",
        ),
    ] = None
    image: Annotated[
        str, typer.Option("--image", metavar="IMAGE", help="With --kind kubernetes: the container image.")
    ] = ""


@dataclass(frozen=True, slots=True)
class Which:
    """Which scheduled run is meant."""

    kind: KindOption = None
    name: Name = DEFAULT_NAME


@app.command(epilog="Example: batch-offboard schedule install --inbox inbox --at 22:00 --days mon-fri --print")
@grouped
def install(
    inbox: Annotated[str, typer.Option("--inbox", metavar="DIR", help="The folder that the sheets are taken from.")],
    *,
    job: Job,
    print_only: Annotated[bool, typer.Option("--print", help="Show what would be written, and write nothing.")] = False,
    json: given.Json = False,
) -> int:
    """Make the scheduler start `nightly`."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.unattended.schedule import facts, planning
    from batch_offboard.unattended.schedule import screens as shown

    chosen, name = _kind(job.kind, print_only=print_only), job.name
    machine = _machine()
    wish = planning.Wish(
        chosen,
        name,
        inbox,
        job.at,
        job.days,
        job.zone,
        job.config,
        job.journal,
        job.env_file,
        job.user,
        image=job.image,
        catch_up=job.catch_up,
    )
    rendered = _rendered(wish, machine, installing=not print_only)
    target = _scheduler(chosen)
    places = target.places(rendered)
    if not print_only:
        target.install(name, rendered)
    say = screens.voice(quiet=json)
    if json:
        written = facts.rendered_facts(chosen, name, rendered, places, installed=not print_only)
        screens.show(screens_json.dump(written))
    elif print_only:
        screens.show(shown.files_text(rendered, places))
        say(shown.steps_text(chosen, rendered))
    else:
        screens.show(shown.installed_text(chosen, name, rendered, places), prose=True)
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard schedule show")
@grouped
def show(which: Which, *, json: given.Json = False) -> int:
    """Show what is scheduled, and when it starts next."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.unattended.schedule import facts
    from batch_offboard.unattended.schedule import screens as shown

    name = which.name
    found = [standing for _, standing in _standings(which.kind, name)]
    text = screens_json.dump(facts.standings_facts(name, found)) if json else shown.standings_text(name, found)
    screens.show(text, prose=not json)
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard schedule remove")
@grouped
def remove(which: Which, *, json: given.Json = False) -> int:
    """Remove what `schedule install` wrote."""
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.unattended.schedule import facts

    name = which.name
    found = _standings(which.kind, name)
    if not found:
        raise UsageError(
            f"Nothing is scheduled as {name} on this machine, so nothing was removed; --name says which one is meant."
        )
    if len(found) > 1:
        kinds = ", ".join(standing.kind for _, standing in found)
        raise UsageError(f"{name} is scheduled more than once; choose one with --kind: {kinds}.")
    target, standing = found[0]
    removed = target.remove(name)
    if json:
        screens.show(screens_json.dump(facts.removed_facts(standing.kind, name, removed)))
    else:
        screens.show("\n".join(f"Removed: {place}" for place in removed))
    return ExitCode.OK


def _kind(kind: SchedulerKind | None, *, print_only: bool) -> "Kind":
    from batch_offboard.unattended.schedule.job import Kind
    from batch_offboard.unattended.schedule.planning import kinds_here

    here = kinds_here()
    if kind is not None:
        return Kind(kind)
    if here:
        return here[0]
    if print_only:
        return Kind.SYSTEMD_USER
    raise UsageError("No scheduler was found on this machine; --print --kind KIND shows the files for another machine.")


def _scheduler(kind: "Kind") -> "Scheduler":
    from batch_offboard.unattended.schedule.programs import run
    from batch_offboard.unattended.schedule.schedulers import scheduler

    return scheduler(kind, run, os.environ, Path.home())


def _standings(kind: SchedulerKind | None, name: str) -> "list[tuple[Scheduler, Standing]]":
    """Every scheduler that has the job: the one of this kind, or all on this machine."""
    from batch_offboard.unattended.schedule.job import Kind, check_name
    from batch_offboard.unattended.schedule.planning import kinds_here

    check_name(name)
    kinds = (Kind(kind),) if kind is not None else kinds_here()
    pairs = [(target, target.show(name)) for target in map(_scheduler, kinds)]
    return [(target, standing) for target, standing in pairs if standing is not None]


def _machine() -> "Machine":
    from batch_offboard.config.places import state_folder
    from batch_offboard.unattended.schedule.planning import Machine

    domain = os.environ.get("USERDOMAIN")
    user = getpass.getuser()
    return Machine(
        folder=str(Path.cwd()),
        interpreter=sys.executable,
        state=str(state_folder()),
        user=f"{domain}\\{user}" if domain else user,
        default_image=f"batch-offboard:{__version__}",
        environ=os.environ,
    )


def _rendered(wish: "Wish", machine: "Machine", *, installing: bool) -> "Rendered":
    """The files for the scheduler, with a note for each variable that would not be set at night."""
    from dataclasses import replace

    from batch_offboard.unattended.schedule.job import Kind
    from batch_offboard.unattended.schedule.planning import rendered, variables_needed

    if wish.kind is Kind.KUBERNETES:
        return rendered(wish, machine, None)
    if installing and not (Path(machine.folder) / wish.inbox).is_dir():
        raise UsageError(f"There is no folder {Path(machine.folder) / wish.inbox} (--inbox); make it first.")
    variables = _variables(wish, installing=installing)
    config = _config(wish, machine, variables, installing=installing)
    text = rendered(wish, machine, config)
    missing = [name for name in variables_needed(config) if name not in variables] if config else []
    notes = [
        f"The configuration takes a secret from the variable {name}; --env-file does not set it." for name in missing
    ]
    return replace(text, notes=(*text.notes, *notes))


def _variables(wish: "Wish", *, installing: bool) -> Mapping[str, str]:
    from batch_offboard.config.env_file import read_env_file

    path = Path(wish.env_file) if wish.env_file else None
    return read_env_file(path) if path is not None and (installing or path.exists()) else {}


def _config(wish: "Wish", machine: "Machine", variables: Mapping[str, str], *, installing: bool) -> "Config | None":
    """The configuration as the scheduled run will see it: with the variables of the file, not those of this
    terminal."""
    from batch_offboard.config import load_config
    from batch_offboard.unattended.schedule.planning import config_path

    path = Path(config_path(wish, machine))
    return load_config(path, variables, Path(machine.folder)) if installing or path.exists() else None
