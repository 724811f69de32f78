"""The facts of a night as JSON values with stable names."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from batch_offboard.base.clock import iso_utc
from batch_offboard.notices.telling import outcomes
from batch_offboard.unattended.nightly.telling import outcomes_of_night
from batch_offboard.unattended.nightly.views import Fate, NightView, SheetView


def night_facts(view: NightView) -> dict[str, Any]:
    return {
        "inbox": str(view.inbox),
        "tenant": view.tenant,
        "began_at": iso_utc(view.began),
        "ended_at": iso_utc(view.ended),
        "sheets": [_sheet_facts(sheet) for sheet in view.sheets],
        "totals": {fate.value: number for fate, number in fates(view).items()},
        "counts": dict(outcomes_of_night(view)),
        "renewed": list(view.renewed),
        "ignored": [sheet.name for sheet in view.sheets if sheet.fate is Fate.NOT_TAKEN],
        "missed_night": view.missed or None,
        "window_closed": view.closed,
        "stopped": view.halt.reason if view.halt else None,
        "exit_code": view.exit_code.value,
    }


def _sheet_facts(sheet: SheetView) -> dict[str, Any]:
    return {
        "sheet": sheet.name,
        "outcome": sheet.fate.value,
        "reason": sheet.sentence or None,
        "batch": sheet.batch_id or None,
        "counts": dict(outcomes(sheet.counts)) if sheet.counts else None,
        "path": str(sheet.path) if sheet.path else None,
        "reports": [str(path) for path in sheet.reports],
        "exit_code": sheet.exit_code.value,
    }


def fates(view: NightView) -> Mapping[Fate, int]:
    """How many sheets ended in each way."""
    found = Counter(sheet.fate for sheet in view.sheets)
    return {fate: found[fate] for fate in Fate}
