"""Asking a command to end."""

from hypothesis import given
from hypothesis import strategies as some

from batch_offboard.core.ending import Ending


@given(before=some.integers(0, 3), within=some.integers(0, 3), inner=some.integers(0, 3))
def test_the_first_request_drains_and_every_later_one_stops_whenever_it_is_made(
    before: int, within: int, inner: int
) -> None:
    ending, heard = Ending(), list[tuple[str, str]]()
    for _ in range(before):
        ending.ask("before")
    with ending.heard(lambda by: heard.append(("drain", by)), lambda by: heard.append(("stop", by))):
        for _ in range(within):
            ending.ask("within")
        with ending.heard(lambda _by: None, lambda _by: None):
            for _ in range(inner):
                ending.ask("inner")
    ending.ask("after")
    asked = ["before"] * min(before, 1) + ["within"] * within + ["inner"] * inner
    expected = ["stop" if place or before > 1 else "drain" for place in range(len(asked))]
    assert heard == list(zip(expected, asked, strict=True))


def test_every_piece_of_nested_work_hears_the_innermost_first() -> None:
    ending, heard = Ending(), list[str]()
    with (
        ending.heard(lambda _by: heard.append("outer drains"), lambda _by: heard.append("outer stops")),
        ending.heard(lambda _by: heard.append("inner drains"), lambda _by: heard.append("inner stops")),
    ):
        ending.ask("once")
        ending.ask("twice")
    assert heard == ["inner drains", "outer drains", "inner stops", "outer stops"]


def test_what_has_ended_hears_nothing() -> None:
    ending, heard = Ending(), list[str]()
    with ending.heard(heard.append, heard.append):
        pass
    ending.ask("late")
    assert (heard, ending.is_heard) == ([], False)
