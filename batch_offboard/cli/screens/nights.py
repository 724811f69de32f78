"""What `nightly` prints: a line for each sheet, and what the night came to."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from batch_offboard.base.clock import iso_utc
from batch_offboard.base.errors import ExitCode
from batch_offboard.cli.screens.json import dump
from batch_offboard.core.devices import shown
from batch_offboard.notices.telling import outcomes
from batch_offboard.unattended.nightly.telling import outcomes_of_night
from batch_offboard.unattended.nightly.views import Fate, NightView, SheetView, meaning_at_night

LONGEST_SENTENCE = 600  # characters


def night_text(view: NightView) -> str:
    """Every sheet, the totals, and why the night ended early if it did."""
    lines = [_sheet_line(sheet) for sheet in view.sheets]
    if view.renewed:
        lines.append(f"{'renewed':<10}  reports of {', '.join(view.renewed)}: the tenant had something new to tell")
    lines.append(_totals(view))
    if view.halt is not None and (view.sheets or view.closed or view.exit_code is not ExitCode.OK):
        lines.append(f"{'Nothing was begun' if view.closed else 'Stopped'}: {view.halt.reason}")
    return "\n".join([*lines, f"Exit code {view.exit_code.value}: {meaning_at_night(view.exit_code)}."])


def night_json(view: NightView) -> str:
    return dump(
        {
            "inbox": str(view.inbox),
            "tenant": view.tenant,
            "began_at": iso_utc(view.began),
            "ended_at": iso_utc(view.ended),
            "sheets": [_sheet_facts(sheet) for sheet in view.sheets],
            "totals": {fate.value: number for fate, number in _fates(view).items()},
            "counts": dict(outcomes_of_night(view)),
            "renewed": list(view.renewed),
            "ignored": [sheet.name for sheet in view.sheets if sheet.fate is Fate.NOT_TAKEN],
            "missed_night": view.missed or None,
            "window_closed": view.closed,
            "stopped": view.halt.reason if view.halt else None,
            "exit_code": view.exit_code.value,
        }
    )


def _sheet_line(sheet: SheetView) -> str:
    batch = f" batch {sheet.batch_id}," if sheet.batch_id and sheet.counts else ""
    counts = f" {_counts_text(outcomes(sheet.counts))}." if sheet.counts else ""
    sentence = f" {shown(sheet.sentence, LONGEST_SENTENCE)}" if sheet.sentence else ""
    return f"{sheet.fate.words:<10}  {shown(sheet.name)}:{batch}{counts}{sentence}"


def _totals(view: NightView) -> str:
    if not view.sheets:
        return f"Nothing to do in {shown(str(view.inbox), LONGEST_SENTENCE)}."
    fates = ", ".join(f"{number} {fate.words}" for fate, number in _fates(view).items() if number)
    what = "file" if Fate.NOT_TAKEN in {sheet.fate for sheet in view.sheets} else "sheet"
    number = f"{len(view.sheets)} {what}{'' if len(view.sheets) == 1 else 's'}"
    return f"{number}: {fates}. Rows: {_counts_text(outcomes_of_night(view)) or 'none'}."


def _fates(view: NightView) -> Mapping[Fate, int]:
    found = Counter(sheet.fate for sheet in view.sheets)
    return {fate: found[fate] for fate in Fate}


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in counts.items() if number)


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
