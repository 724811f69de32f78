"""Which batch a command means: the one that is named, by any part of its ID, and its own tenant's where none is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import UsageError
from batch_offboard.commands import proposing, run, tracking
from batch_offboard.commands.plans import Reading
from tests import commands
from tests.virtual import CLIENT_ID, VirtualOffice

MakeOffice = Callable[..., VirtualOffice]
ANOTHER = "33333333-3333-4333-8333-333333333333"


def planned(office: VirtualOffice, number: int) -> str:
    """The batch of a sheet with this one device."""
    with office.desk() as desk:
        return office.world.run(proposing.plan(desk, office.sheet([number], f"{number}.csv"), Reading())).batch.batch_id


def begun(office: VirtualOffice, number: int) -> str:
    """A batch of one device that was begun and is not finished: its tenant was away."""
    batch_id = planned(office, number)
    with office.desk() as desk:
        batch = desk.batch(batch_id)
        desk.journal.prepare(batch.key, batch.scope_key, desk.clock.now())
        desk.journal.end_batch(batch.key, desk.clock.now(), "SIGINT was received.")
    return batch_id


def test_a_part_of_several_ids_names_the_candidates(make_office: MakeOffice) -> None:
    office = make_office()
    known = [planned(office, number) for number in range(3)]
    with office.desk() as desk, pytest.raises(UsageError) as refused:
        desk.batch(known[0][:8])
    assert "matches several batch IDs" in str(refused.value)
    assert all(each in str(refused.value) for each in known)


@pytest.mark.parametrize("name", ["", "%", "_", "20200101", "none"])
def test_what_is_part_of_no_id_names_no_batch(make_office: MakeOffice, name: str) -> None:
    office = make_office()
    planned(office, 1)
    with office.desk() as desk, pytest.raises(UsageError, match="There is no batch"):
        desk.batch(name)


def test_any_part_of_one_id_alone_names_its_batch_and_latest_the_newest(make_office: MakeOffice) -> None:
    office = make_office()
    known = [planned(office, number) for number in range(4)]
    with office.desk() as desk:

        @given(st.sampled_from(known), st.integers(0, 18), st.integers(1, 19))
        def every_part(batch_id: str, start: int, length: int) -> None:
            part = batch_id[start : start + length]
            holders = [each for each in known if part in each]
            if len(holders) == 1:
                assert desk.batch(part).batch_id == holders[0]
            else:
                with pytest.raises(UsageError):
                    desk.batch(part)

        every_part()
        assert desk.batch("latest").batch_id == known[-1]


def test_the_latest_to_work_on_is_the_latest_that_was_run_whatever_was_planned_since(make_office: MakeOffice) -> None:
    office = make_office()
    with office.desk() as desk, pytest.raises(UsageError, match="was run yet; begin with"):
        desk.batch("latest", begun=True)
    ours = begun(office, 1)
    later = planned(office, 2)
    with office.desk() as desk:
        assert (desk.batch("latest").batch_id, desk.batch("latest", begun=True).batch_id) == (later, ours)


def test_what_names_no_batch_means_one_of_the_configured_tenant_and_application(make_office: MakeOffice) -> None:
    office = make_office()
    own = begun(office, 1)
    office.configure(client_id=ANOTHER)
    theirs = begun(office, 2)
    with office.desk() as desk:
        assert desk.batch("latest").batch_id == theirs
    office.configure()
    with office.desk() as desk:
        assert desk.batch("latest").batch_id == own
        view = office.world.run(run.resume(desk, None, (), office.ears.talk))
    assert (view.batch.batch_id, view.batch.state) == (own, "finished")
    assert len(office.world.offboard_calls()) == 1
    with office.desk() as desk, pytest.raises(UsageError) as refused:
        office.world.run(run.resume(desk, None, (), office.ears.talk))
    assert f"{theirs} belongs to" in str(refused.value)
    assert ANOTHER in str(refused.value)
    assert CLIENT_ID in str(refused.value)


def test_track_follows_no_batch_of_another_application(make_office: MakeOffice) -> None:
    office = make_office()
    with office.desk() as desk:
        office.world.run(commands.run_sheet(desk, office.sheet([1]), Reading(), (), office.ears.talk))
    office.configure(client_id=ANOTHER)
    with office.desk() as desk, pytest.raises(UsageError, match=r"No batch of .* has open machine actions"):
        office.world.run(tracking.track(desk, None, (), office.ears.talk))


def test_a_journal_without_unfinished_batches_says_so_before_any_configuration_is_asked_for(
    make_office: MakeOffice, tmp_path: Path
) -> None:
    office = make_office()
    planned(office, 1)
    with office.desk(config=tmp_path / "none.yaml") as desk, pytest.raises(UsageError, match="no interrupted batch"):
        office.world.run(run.resume(desk, None, (), office.ears.talk))
