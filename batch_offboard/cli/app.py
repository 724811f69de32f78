"""The application that the commands register with."""

import os
from typing import Annotated

import typer
from typer.core import TyperGroup

from batch_offboard import __version__
from batch_offboard.base.errors import ExitCode
from batch_offboard.cli import options as given

EXIT_CODES = "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in ExitCode) + "."

# The order in `--help` and in shell completion: the main job first, independent of the order of imports.
ORDER = (
    "plan", "run", "approve", "deny", "resume", "retry", "report", "list", "forget", "show", "explain", "quota",
    "simulate", "check", "track", "cancel", "resolve", "nightly", "schedule", "audit",
)  # fmt: skip


class _Commands(TyperGroup):
    """Lists the commands in `ORDER`; a command that is missing there fails every start."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own Context
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="batch-offboard",
    cls=_Commands,
    help="Offboard a spreadsheet of devices from Microsoft Defender for Endpoint.",
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(wanted: object) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _every_command(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    env_file: given.EnvFile = None,
) -> None:
    if env_file is not None and not version:
        from batch_offboard.config.env_file import read_env_file

        os.environ.update(read_env_file(env_file))
