"""Two processes on one tenant: the second names the first and leaves, the first notices nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant


@pytest.mark.fault(38, "The second names the first and ends with 3.")
@pytest.mark.fault(39, "The tenant is locked, too: the second names the first and ends with 3.")
def test_a_second_process_on_a_tenant_says_who_is_at_work_and_leaves_the_first_alone(
    office: Office, tenant: Tenant
) -> None:
    held, healthy, others = tenant.take_special("held", 4), tenant.take(5), tenant.take(2)
    office.configure(tenant)
    first_sheet, second_sheet = office.sheet([*held, *healthy]), office.sheet(others, "others.csv")
    with office.start("run", first_sheet, "--yes", "--report", "first.csv") as first:
        first.until(lambda: bool(tenant.called(held)), "the first's first call")
        with (
            office.start("run", second_sheet, "--yes") as same_journal,
            office.start("run", second_sheet, "--yes", "--journal", "other.db") as another_journal,
        ):
            refused = [same_journal.ended(), another_journal.ended()]
            still_at_work = first.running
        tenant.release(held)
        ended = first.ended()
    assert still_at_work
    assert [each.code for each in refused] == [3, 3]
    assert all(f"process {first.pid} on " in each.last_sentence for each in refused)
    assert tenant.called(others) == []
    assert ended.code == 0, ended.err
    assert {row["outcome"] for row in office.report("first.csv")} == {"submitted"}
    assert tenant.called([*held, *healthy]) == [*held, *healthy]
