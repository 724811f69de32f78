"""Who gives a command."""

import os
import sys
from collections.abc import Mapping

# For accounts that several people use. Whoever may run a command as such an account may set it to any name.
PERSON_VARIABLE = "BATCH_OFFBOARD_PERSON"


def person(environ: Mapping[str, str]) -> str:
    """The account as the operating system knows it, or the person that the environment names and the account behind
    that: ann, or ann (as svc)."""
    named = " ".join(environ.get(PERSON_VARIABLE, "").split())
    return f"{named} (as {user()})" if named else user()


def user() -> str:
    """The name of the account, or its number where it has no name, as in many containers."""
    if sys.platform == "win32":
        try:
            return os.getlogin()
        except OSError:
            return "unknown user"
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
