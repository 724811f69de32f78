"""Who acts: the person, the machine and the face that a command comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who issues a command. `person` is the operating system account on the command line; `face` is where the command
    comes from: `cli` or `nightly`."""

    person: str
    machine: str
    face: str

    @property
    def who(self) -> str:
        """The person at the machine, such as ann@pc-7."""
        return f"{self.person}@{self.machine}"


# For a journal that is opened read-only.
NOBODY = Actor("", "", "")
