"""Which jobs are valid, independent of the scheduler."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import UsageError
from batch_offboard.core.window import DAYS
from batch_offboard.unattended.schedule.job import EVERY_DAY, Job, Start, check_name, days_of, start_of

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", (MON,)),
        ("mon-fri", (MON, TUE, WED, THU, FRI)),
        ("MON - FRI", (MON, TUE, WED, THU, FRI)),
        ("sat,sun", (SAT, SUN)),
        ("sun,sat,sun", (SAT, SUN)),
        ("fri-mon", (MON, FRI, SAT, SUN)),
        ("mon-wed,fri", (MON, TUE, WED, FRI)),
        ("mon-sun", EVERY_DAY),
        ("daily", EVERY_DAY),
    ],
)
def test_days_are_named_one_by_one_or_as_a_range_that_may_go_over_the_weekend(text: str, days: tuple[int, ...]) -> None:
    assert days_of(text) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mon-fri-sun", "1-5", "mon;tue", "mon,,tue", "*"])
def test_what_names_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"--days .* write mon-fri"):
        days_of(text)


@pytest.mark.parametrize(("text", "time"), [("22:00", (22, 0)), ("0:05", (0, 5)), ("23:59", (23, 59))])
def test_a_time_of_day_is_read(text: str, time: tuple[int, int]) -> None:
    start = start_of(text, "daily", None)
    assert (start.hour, start.minute) == time


@pytest.mark.parametrize("text", ["24:00", "22", "22:60", "22:0", "10 pm", "22:00:00", "", "２２:00"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--at"):
        start_of(text, "daily", None)


@pytest.mark.parametrize("zone", ["Europe/Berlin\nOnCalendar=*", "Europe/ Berlin", "../etc/passwd", "", "a b"])
def test_a_zone_is_an_iana_name_and_nothing_else(zone: str) -> None:
    with pytest.raises(UsageError, match="--zone"):
        start_of("22:00", "daily", zone)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_real_zones_are_taken(zone: str) -> None:
    assert start_of("22:00", "daily", zone).zone == zone


@pytest.mark.parametrize("name", ["", "-a", "a-", "Nightly", "a b", "a_b", "a" * 53, "a;b", "../x", "ä"])
def test_a_name_that_one_of_the_schedulers_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "batch-offboard-nightly", "a" * 52, "7"])
def test_other_names_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("sign", ["\n", "\r", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\ud800", "\ufffe", "\ufdd0"])
@pytest.mark.parametrize("place", ["interpreter", "folder", "user", "env_file", "image", "arguments", "writable"])
def test_a_line_break_or_control_character_is_refused_wherever_it_stands(
    job: Callable[..., Job], sign: str, place: str
) -> None:
    text = f"/a{sign}b"
    with pytest.raises(UsageError, match="line break or a control character"):
        job(**{place: (text,) if place in {"arguments", "writable"} else text})
    with pytest.raises(UsageError, match="line break or a control character"):
        job(environment={"X": text})


def test_the_working_folder_is_no_place_to_import_from(job: Callable[..., Job]) -> None:
    assert job().command(env_file=False)[:4] == ("/opt/py/bin/python", "-P", "-m", "batch_offboard")


def test_the_program_reads_the_variables_itself_only_where_the_scheduler_cannot(job: Callable[..., Job]) -> None:
    with_file = job(env_file="/etc/bo/env")
    assert with_file.command(env_file=True)[4:7] == ("--env-file", "/etc/bo/env", "nightly")
    assert with_file.command(env_file=False)[4] == "nightly"
    assert job().command(env_file=True)[4] == "nightly"


@given(days=st.sets(st.integers(0, 6), min_size=1))
def test_cron_fields_name_exactly_the_days(days: set[int]) -> None:
    start = Start(7, 5, tuple(sorted(days)))
    minute, hour, *stars, field = start.cron.split()
    assert (minute, hour, stars) == ("5", "7", ["*", "*"])
    named: set[int] = set()
    for part in ["0-6"] if field == "*" else field.split(","):
        first, _, last = part.partition("-")
        named |= {(number - 1) % 7 for number in range(int(first), int(last or first) + 1)}
    assert named == days


@given(days=st.sets(st.integers(0, 6), min_size=1))
def test_the_words_for_people_are_read_back(days: set[int]) -> None:
    words = Start(7, 5, tuple(sorted(days)), "UTC").words
    assert words.startswith("07:05 ")
    assert words.endswith(", UTC")
    named = words.removeprefix("07:05 ").removesuffix(", UTC").replace("every day", "daily")
    assert set(days_of(named)) == days
    assert len(DAYS) == 7
