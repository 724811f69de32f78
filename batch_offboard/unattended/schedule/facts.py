"""The facts of what is scheduled, as JSON values under names that stay."""

from collections.abc import Sequence
from typing import Any

from batch_offboard.unattended.schedule.job import Kind, Rendered
from batch_offboard.unattended.schedule.schedulers import Standing


def rendered_facts(
    kind: Kind, name: str, rendered: Rendered, places: Sequence[str], *, installed: bool
) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "installed": installed,
        "files": [
            {"place": place, "encoding": file.encoding, "text": file.text}
            for place, file in zip(places, rendered.files, strict=True)
        ],
        "commands": [list(command.words) for command in rendered.commands],
        "notes": list(rendered.notes),
    }


def standings_facts(name: str, standings: Sequence[Standing]) -> list[dict[str, Any]]:
    return [
        {
            "kind": each.kind,
            "name": name,
            "places": list(each.places),
            "state": each.state,
            "next_start": each.next_start,
            "last_start": each.last_start,
            "last_exit_code": each.last_exit,
        }
        for each in standings
    ]


def removed_facts(kind: Kind, name: str, removed: Sequence[str]) -> dict[str, Any]:
    return {"kind": kind, "name": name, "removed": list(removed)}
