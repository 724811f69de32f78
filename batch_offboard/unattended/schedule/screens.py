"""What `schedule` prints for people."""

from collections.abc import Sequence

from batch_offboard.base.errors import ExitCode
from batch_offboard.unattended.schedule.job import Command, Kind, Rendered
from batch_offboard.unattended.schedule.schedulers import Standing
from batch_offboard.unattended.schedule.windows import command_line


def files_text(rendered: Rendered, places: Sequence[str]) -> str:
    """The files as they would be written; if there are several, each after its path."""
    if len(rendered.files) == 1:
        return rendered.files[0].text.rstrip("\n")
    pairs = zip(places, rendered.files, strict=True)
    return "\n\n".join(f"# {place}\n{file.text.rstrip()}" for place, file in pairs)


def steps_text(kind: Kind, rendered: Rendered) -> str:
    """The commands that install the files, and the notes."""
    return "\n".join([*(f"Then: `{typed(kind, command)}`" for command in rendered.commands), *notes(rendered)])


def installed_text(kind: Kind, name: str, rendered: Rendered, places: Sequence[str]) -> str:
    lines = [f"Scheduled {name} with {kind}; written:", *(f"  {place}" for place in places)]
    return "\n".join(lines + notes(rendered))


def notes(rendered: Rendered) -> list[str]:
    return [f"Note: {note}" for note in rendered.notes]


def standings_text(name: str, standings: Sequence[Standing]) -> str:
    """Each scheduler that has the job, with what it reports."""
    if not standings:
        return f"Nothing is scheduled as {name}; start with `batch-offboard schedule install --inbox DIR`."
    return "\n\n".join("\n".join(_lines(standing)) for standing in standings)


def typed(kind: Kind, command: Command) -> str:
    """A command as a person types it."""
    return command_line(command.words) if kind is Kind.WINDOWS else " ".join(command.words)


def _lines(standing: Standing) -> list[str]:
    facts = {
        "state": standing.state,
        "next start": standing.next_start or f"not reported by {standing.kind}",
        "last start": standing.last_start,
        "last run": None if standing.last_exit is None else _exit(standing.last_exit),
    }
    return [
        f"{standing.name} with {standing.kind}",
        *(f"  {'in':<11} {place}" for place in standing.places),
        *(f"  {name:<11} {value}" for name, value in facts.items() if value),
    ]


def _exit(code: int) -> str:
    known = {each.value: each.meaning for each in ExitCode}
    return f"exit code {code}: {known.get(code, 'not one of this program; check its log')}"
