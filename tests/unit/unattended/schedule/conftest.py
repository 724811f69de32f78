"""Jobs with texts that are hard to quote."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from batch_offboard.unattended.schedule.job import EVERY_DAY, Job, Start

NASTY = " \"'`\\%$&|;<>(){}[]*?!#~^=,:@+-é世\N{NO-BREAK SPACE}😀"


def takable(character: str) -> bool:
    code = ord(character)
    return (
        unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
        and code & 0xFFFE != 0xFFFE
        and not 0xFDD0 <= code <= 0xFDEF
    )


texts = st.text(st.sampled_from("ab/" + NASTY) | st.characters().filter(takable), max_size=20)
"""Any path, especially those that are difficult to quote."""

starts = st.builds(
    Start,
    st.integers(0, 23),
    st.integers(0, 59),
    st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
)


def make_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "name": "nightly-test",
        "interpreter": "/opt/py/bin/python",
        "arguments": ("nightly", "--inbox", "/srv/inbox", "--config", "/etc/bo/config.yaml"),
        "folder": "/srv",
        "start": Start(22, 0, EVERY_DAY),
        "writable": ("/srv/inbox",),
    }
    return Job(**(values | changes))


@pytest.fixture
def job() -> Callable[..., Job]:
    return make_job
