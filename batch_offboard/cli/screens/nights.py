"""What `nightly` prints: a line for each sheet, and the result of the night."""

from collections.abc import Mapping

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.devices import shown
from batch_offboard.notices.telling import outcomes
from batch_offboard.unattended.nightly.facts import fates
from batch_offboard.unattended.nightly.telling import outcomes_of_night
from batch_offboard.unattended.nightly.views import Fate, NightView, SheetView, meaning_at_night

LONGEST_SENTENCE = 600  # characters


def night_text(view: NightView) -> str:
    """Every sheet, the totals, and why the night ended early if it did."""
    lines = [_sheet_line(sheet) for sheet in view.sheets]
    if view.renewed:
        lines.append(f"{'renewed':<10}  reports of {', '.join(view.renewed)}: the tenant had new results")
    lines.append(_totals(view))
    if view.halt is not None and (view.sheets or view.closed or view.exit_code is not ExitCode.OK):
        lines.append(f"{'Nothing was started' if view.closed else 'Stopped'}: {view.halt.reason}")
    return "\n".join([*lines, f"Exit code {view.exit_code.value}: {meaning_at_night(view.exit_code)}."])


def _sheet_line(sheet: SheetView) -> str:
    batch = f" batch {sheet.batch_id}," if sheet.batch_id and sheet.counts else ""
    counts = f" {_counts_text(outcomes(sheet.counts))}." if sheet.counts else ""
    sentence = f" {shown(sheet.sentence, LONGEST_SENTENCE)}" if sheet.sentence else ""
    return f"{sheet.fate.words:<10}  {shown(sheet.name)}:{batch}{counts}{sentence}"


def _totals(view: NightView) -> str:
    if not view.sheets:
        return f"Nothing to do in {shown(str(view.inbox), LONGEST_SENTENCE)}."
    said = ", ".join(f"{number} {fate.words}" for fate, number in fates(view).items() if number)
    what = "file" if Fate.NOT_TAKEN in {sheet.fate for sheet in view.sheets} else "sheet"
    number = f"{len(view.sheets)} {what}{'' if len(view.sheets) == 1 else 's'}"
    return f"{number}: {said}. Rows: {_counts_text(outcomes_of_night(view)) or 'none'}."


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in counts.items() if number)
