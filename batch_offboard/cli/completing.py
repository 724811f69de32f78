"""Shell completion of batch IDs. Errors are not shown: they would end up in the prompt."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from batch_offboard.base.errors import BatchOffboardError

OFFERED = 50  # a longer list does not help to choose


def batches(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The newest batches whose ID begins with `incomplete`, each with its state and sheet, as the options select
    them."""
    from batch_offboard.commands.naming import newest_names

    found = [name for journal in _journals(ctx.params) for name in newest_names(journal, incomplete, OFFERED)]
    return [(name, "".join(sign for sign in words if sign.isprintable())) for name, words in found[:OFFERED]]


def batches_or_files(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Like `batches`, for an argument that may be a file: nothing before the first character, so the shell offers
    files."""
    return batches(ctx, incomplete) if incomplete else []


def _journals(given: dict[str, Any]) -> Iterator[Path]:
    from batch_offboard.config.places import default_journal, rehearsal_journal

    if given.get("journal"):
        yield Path(given["journal"])
        return
    if not given.get("simulate"):
        yield _configured(given.get("config")) or default_journal()
    yield rehearsal_journal()


def _configured(config: Path | str | None) -> Path | None:
    from batch_offboard.config.loading import is_configured, load_config

    path, here = (Path(config) if config else None), Path.cwd()
    try:
        return load_config(path, os.environ, here).journal if is_configured(path, os.environ, here) else None
    except BatchOffboardError:
        return None
