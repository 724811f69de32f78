"""Puts metrics where the node exporter's textfile collector reads them."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

MODE = 0o644  # the collector is another user


def write(path: Path, text: str) -> None:
    """Replace the file atomically, since the collector may read it at any moment. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")  # the collector reads only *.prom
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(MODE)  # whatever the umask
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
