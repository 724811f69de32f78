"""Who is at work, as the operating system knows them: the environment is not asked, since anybody may change it."""

import os
import socket
import sys


def user() -> str:
    """The name of the account; its number where it has no name, as in many a container."""
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


def user_and_host() -> str:
    """Such as ann@pc-7."""
    return f"{user()}@{socket.gethostname()}"
