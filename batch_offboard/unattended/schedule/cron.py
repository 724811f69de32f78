"""Renders a job as lines of a crontab, between two marker lines.

Pure. The crontab belongs to its user: all other lines stay unchanged. The rules are those of crontab(5), for Vixie
cron (Debian, macOS, BSD) and cronie (Red Hat, SUSE, Arch).
"""

import re
from collections.abc import Sequence

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule.job import WRITTEN_BY, Command, File, Job, Rendered

LONGEST_COMMAND = 990  # Vixie cron truncates a command to 1,000 bytes (MAX_COMMAND)

_BEGIN = re.compile(rf"# ([a-z0-9-]+): begin\. {re.escape(WRITTEN_BY)}")
_ZONE_LINE = re.compile(r"\s*CRON_TZ\s*=")
_SAFE = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def render(job: Job) -> Rendered:
    """The block for the crontab. Raises UsageError if the command is too long."""
    command = _command(job)
    if len(command.encode()) > LONGEST_COMMAND:
        raise UsageError(f"The command has more than {LONGEST_COMMAND} bytes, which cron truncates; use shorter paths.")
    lines = [
        _begin(job.name),
        *([f"CRON_TZ={job.start.zone}"] if job.start.zone else []),
        f"{job.start.cron} {command}",
        _end(job.name),
    ]
    notes = [
        "cron mails the output of a run to the crontab's owner; MAILTO=ADDRESS above these lines sets another address."
    ]
    notes += ["cron skips missed starts; the next night processes the sheets."] if job.catch_up else []
    if job.start.zone:
        notes.append("Only cronie supports CRON_TZ, which applies to every line below it; keep the block at the end.")
    return Rendered((File("crontab", "\n".join(lines) + "\n"),), (Command(("crontab", "-e"), asks=True),), tuple(notes))


def with_block(crontab: str, name: str, block: str) -> str:
    """The crontab with this block instead of an earlier one of the same name; all other lines unchanged.

    CRON_TZ applies to all lines below it. So a block with a zone is put at the end, and one without above our first
    block with one. Raises UsageError if a CRON_TZ of the user's own would apply to our block.
    """
    lines = _without(crontab, name)
    new = _lines(block)
    if any(_ZONE_LINE.match(line) for line in new):
        return _joined([*lines, *new])
    inside = _our_lines(lines)
    zones = [at for at, line in enumerate(lines) if _ZONE_LINE.match(line)]
    foreign = next((at for at in zones if at not in inside), None)
    if foreign is not None:
        raise UsageError(
            f"Line {foreign + 1} of the crontab sets CRON_TZ, so the start would not be in the machine's time zone; "
            "add --zone."
        )
    place = max(at for at in range(zones[0]) if _begins(lines[at])) if zones else len(lines)
    return _joined([*lines[:place], *new, *lines[place:]])


def without_block(crontab: str, name: str) -> str:
    """The crontab without the block of this name; all other lines unchanged."""
    return _joined(_without(crontab, name))


def block_in(crontab: str, name: str) -> str | None:
    """The block of this name, or None."""
    lines = _lines(crontab)
    found = _block_at(lines, name)
    return None if found is None else _joined(lines[found[0] : found[1]])


def quoted(text: str) -> str:
    """A word quoted for the shell that cron starts; characters that cron itself interprets are outside the quotes.

    `%` ends the command unless a backslash precedes it; some crons remove that backslash and some keep it, so it must
    mean the same to the shell in both cases. Some replace two backslashes by one, so two never follow each other.
    """
    if _SAFE.fullmatch(text):
        return text
    parts = re.split(r"([%\\'])", text)
    special = {"%": "\\%", "\\": "'\\'", "'": '"\'"'}
    return "".join(special.get(part) or f"'{part}'" for part in parts if part) or "''"


def _command(job: Job) -> str:
    environment = [f"{name}={value}" for name, value in job.environment.items()]
    words = [*(["env", *environment] if environment else []), *job.command(env_file=True)]
    return f"cd {quoted(job.folder)} && exec {' '.join(quoted(word) for word in words)}"


def _begin(name: str) -> str:
    return f"# {name}: begin. {WRITTEN_BY}; do not edit these lines."


def _end(name: str) -> str:
    return f"# {name}: end."


def _begins(line: str) -> str | None:
    """The name of the block that this line begins, or None."""
    found = _BEGIN.match(line)
    return found[1] if found else None


def _block_at(lines: Sequence[str], name: str) -> tuple[int, int] | None:
    """The index of the block's first line and of the line after it. Raises UsageError if its end is missing."""
    begin = next((at for at, line in enumerate(lines) if _begins(line) == name), None)
    if begin is None:
        return None
    end = next((at for at in range(begin, len(lines)) if lines[at] == _end(name)), None)
    if end is None:
        raise UsageError(
            f"Line {begin + 1} of the crontab begins {name}, whose end is missing; correct it with: crontab -e"
        )
    return begin, end + 1


def _without(crontab: str, name: str) -> list[str]:
    lines = _lines(crontab)
    found = _block_at(lines, name)
    return lines if found is None else [*lines[: found[0]], *lines[found[1] :]]


def _our_lines(lines: Sequence[str]) -> set[int]:
    """The indexes of all lines in our blocks, of any name."""
    blocks = [_block_at(lines, name) for line in lines if (name := _begins(line)) is not None]
    return {at for block in blocks if block is not None for at in range(*block)}


def _lines(text: str) -> list[str]:
    """Split at line feeds only: other line separators are part of the user's lines."""
    return text.removesuffix("\n").split("\n") if text else []


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
