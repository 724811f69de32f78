"""Plans a sheet and saves it: rows go from the reader through the planner into the journal."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batch_offboard import __version__
from batch_offboard.base.clock import Moment, local_time
from batch_offboard.base.errors import InputError
from batch_offboard.base.text import one_line, visible
from batch_offboard.core.batches import Batch, tenant_of
from batch_offboard.core.consent import Conditions
from batch_offboard.core.fleet import Fleet
from batch_offboard.core.plan import PlannedRow, Planner
from batch_offboard.core.protected import Protected
from batch_offboard.core.rows import Source, Table
from batch_offboard.journal.plans import NewBatch
from batch_offboard.journal.reading import PLAN_LIFE, find_batch, known_devices
from batch_offboard.journal.store import Journal
from batch_offboard.sheets import HiddenRows, open_table

# An older list of devices may not be the intended one; clocks may differ a little.
OLD_SHEET = 30 * 24 * 3600.0  # seconds
CLOCKS_DIFFER = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a sheet; stored with the plan so that it can be made again in the same way."""

    sheet: str | None = None
    id_column: str | None = None
    name_column: str | None = None
    hidden: HiddenRows = HiddenRows.REFUSE
    only: tuple[str, ...] = ()
    multiline_text: bool = False  # line breaks inside cells are text, whatever the lines look like

    def as_json(self) -> dict[str, Any]:
        return {
            "sheet": self.sheet,
            "id_column": self.id_column,
            "name_column": self.name_column,
            "hidden": self.hidden.value,
            "only": list(self.only),
            "multiline_text": self.multiline_text,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reading":
        return cls(
            value["sheet"],
            value["id_column"],
            value["name_column"],
            HiddenRows(value["hidden"]),
            tuple(value["only"]),
            value.get("multiline_text", False),  # not in the journals of earlier versions
        )


@dataclass(frozen=True, slots=True)
class Purpose:
    """The batch ID, the tenant and the options that a sheet is planned with."""

    batch_id: str
    scope: str
    api_url: str
    comment: str | None
    simulated: bool
    lookup: bool = True  # ask the tenant before anything is sent
    offboard_again: bool = False  # send devices that were offboarded before, if it is unknown whether they came back
    conditions: Conditions = Conditions()  # noqa: RUF009  # frozen; approved with the plan
    sheet_owner: str = ""  # who put the sheet there, if not the person who plans it; also counts as a submitter


def read_sheet(path: Path, reading: Reading) -> Table:
    """The sheet's table; its rows can be iterated once. Raises InputError."""
    return open_table(
        path,
        sheet=reading.sheet,
        id_column=reading.id_column,
        name_column=reading.name_column,
        hidden=reading.hidden,
        only=frozenset(reading.only) if reading.only else None,
        multiline_text=reading.multiline_text,
    )


def save_plan(
    journal: Journal,
    table: Table,
    reading: Reading,
    purpose: Purpose,
    now: Moment,
    fleet: Fleet | None = None,
    why_not: str = "",
    protected: Protected | None = None,
) -> Batch:
    """Decide every row and save the batch. Raises InputError, with nothing saved, if the sheet turns out to be
    unusable.

    `fleet` is the look-up of the tenant; without it, `why_not` says why there was none. Devices in `protected` are not
    sent.
    """
    _refuse_device_as_header(table, fleet)
    memory = known_devices(journal, tenant_of(purpose.scope))
    planner = Planner(memory.devices, fleet, protected, offboard_again=purpose.offboard_again)
    new = NewBatch(
        batch_id=purpose.batch_id,
        scope=purpose.scope,
        planned_at=now.wall,
        source=_storable(table.source),
        columns=table.columns,
        reading=reading.as_json(),
        api_url=purpose.api_url,
        comment=one_line(purpose.comment or comment_without_reason(table.source.name)),
        simulated=purpose.simulated,
        tool_version=__version__,
        lookup_wanted=purpose.lookup,
        looked_up_at=fleet.at if fleet else None,
        last_call_known=memory.last_call,
        conditions=purpose.conditions,
    )
    submitted = {"planned_by": journal.actor.who}
    submitted |= {"sheet_owner": purpose.sheet_owner} if purpose.sheet_owner else {}
    aside = {"set_aside": purpose.conditions.set_aside.as_json()} if purpose.conditions.set_aside.words else {}
    found = lambda: _findings(planner, fleet, why_not, purpose) | submitted | aside  # noqa: E731  # the rows first
    journal.add_batch(new, _decisions(planner, table), planner.amendments, found)
    batch = find_batch(journal, purpose.batch_id)
    if batch is None:
        raise InputError(f"The batch {purpose.batch_id} was not saved; this is a bug in the program.")
    return batch


def _refuse_device_as_header(table: Table, fleet: Fleet | None) -> None:
    """Raise InputError if the header of a list of names is the name of a device of the tenant: "Computer" and "Host"
    are both, and the first device would be lost."""
    header = table.name_column
    if fleet is not None and table.id_column is None and header is not None and fleet.named(header):
        raise InputError(
            f"The header '{one_line(header)}' of {one_line(table.source.name)} is the name of a device of the tenant "
            "as well; put a row with 'Device name' above it if it is that device, or in its place if it is not."
        )


def comment_without_reason(source_name: str) -> str:
    """The default comment of machine actions, for a sheet that was planned without one."""
    return f"Offboarded with {source_name}"


def _findings(planner: Planner, fleet: Fleet | None, why_not: str, purpose: Purpose) -> dict[str, Any]:
    """What the look-up found besides the decisions, as stored with the batch."""
    found: dict[str, Any] = {"offboard_again": True} if purpose.offboard_again else {}
    if fleet is None:
        return found | ({"not_looked_up": why_not} if why_not else {})
    tenant = {**fleet.as_json(), "in_sheet": planner.matched}
    return found | {"tenant": tenant, "actions_not_read": fleet.no_actions}


def _storable(source: Source) -> Source:
    """Replace bytes in a file name that are not text, which neither the journal nor a report can store."""
    return replace(source, path=visible(source.path), name=one_line(source.name), kind=one_line(source.kind))


def owner_of(sheet: Path) -> str:
    """The account that owns the file; empty if unknown, as on Windows."""
    if sys.platform == "win32":
        return ""
    try:
        return one_line(sheet.owner())
    except (OSError, KeyError):
        return ""


def staleness(batch: Batch, now: float, *, approved: bool = False) -> str | None:
    """Why the plan must be made again, or None. A sheet that no longer exists counts as unchanged. A plan that was
    `approved` is valid as long as its approvals."""
    age = now - batch.planned_at
    if abs(age) > PLAN_LIFE and not (approved and age > 0):
        return "the plan is older than 24 hours, or the clock was changed"
    try:
        with Path(batch.source_path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    return "the sheet has changed since" if digest != batch.source_sha256 else None


def age_notes(source: Source, now: float) -> list[str]:
    """Notes about an odd time of the sheet's last change; `now` in seconds since the epoch."""
    if source.modified is None:
        return []
    age = now - source.modified
    if age > OLD_SHEET:
        return [f"The sheet was last changed {int(age // 86_400)} days ago; is it the one that is meant?"]
    if age < -CLOCKS_DIFFER:
        return [f"The sheet was last changed in the future ({local_time(source.modified)}); check the clock."]
    return []


def _decisions(planner: Planner, table: Table) -> Iterator[PlannedRow]:
    """The planned rows. Raises InputError, before anything is saved, if there are none."""
    empty = True
    for row in table.rows:
        empty = False
        yield planner.decide(row)
    if empty:
        raise InputError(f"{table.source.name} holds no devices; add rows below the header.")
