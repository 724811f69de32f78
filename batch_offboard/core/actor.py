"""Who acts: the person, the machine and the face that a command is given by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who gives a command. `person` is the operating system account on the command line, and `face` is where the
    command is given: `cli`, `nightly`."""

    person: str
    machine: str
    face: str

    @property
    def who(self) -> str:
        """The person at the machine, such as ann@pc-7."""
        return f"{self.person}@{self.machine}"


# Of a journal that is opened only to be read.
NOBODY = Actor("", "", "")


@dataclass(frozen=True, slots=True)
class Consent:
    """A person's agreement to what was proposed to them. `how` says how it was given, for the record: `typed` (the
    number of devices), `--yes`, `nightly`, or `rehearsal`, where nothing real is sent."""

    actor: Actor
    how: str
