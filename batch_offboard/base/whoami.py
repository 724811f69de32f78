"""The person who runs a command."""

import os
import sys
from collections.abc import Mapping

# For accounts that several people share. Anyone who can run commands as such an account can set it to any name.
PERSON_VARIABLE = "BATCH_OFFBOARD_PERSON"


def person(environ: Mapping[str, str]) -> str:
    """The account in the operating system, or the person that the environment names: `ann`, or `ann (as svc)`."""
    named = " ".join(environ.get(PERSON_VARIABLE, "").split())
    return f"{named} (as {user()})" if named else user()


def user() -> str:
    """The name of the account, or its number if it has no name, as in many containers."""
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
