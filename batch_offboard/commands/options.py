"""The options of a command, as values that any face can provide."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batch_offboard.config import Config
from batch_offboard.core.actor import Actor


@dataclass(frozen=True, slots=True)
class Options:
    """The options of every command.

    `speed` is the rehearsal's; 1 is the machine's own time. `tell` shows a person how to sign in. `unattended`: the
    command was started by a scheduler and must respect the window. `configured` is called with the configuration once
    it is read.
    """

    environ: Mapping[str, str] = field(repr=False)
    cwd: Path
    actor: Actor
    config: Path | None = None
    journal: Path | None = None
    simulate: bool = False
    speed: float = 1.0
    faults: tuple[str, ...] = ()
    comment: str | None = None
    max_devices: int | None = None
    lookup: bool = True
    offboard_again: bool = False
    stop_file: Path | None = None
    unattended: bool = False
    continue_after_failures: bool = False
    tell: Callable[[str], None] = field(default=lambda _text: None, repr=False)
    configured: Callable[[Config], None] = field(default=lambda _config: None, repr=False)
