"""The textfile, read back by the rules of Prometheus' text format."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.notices.metrics import OUTCOMES, as_metrics
from batch_offboard.notices.notice import Happening, Notice
from tests.unit.notices.conftest import make_notice

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
LINE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?P<value>(?:[^"\\]|\\["\\n])*)"(?:,|$)')
TEXT = st.text(st.characters(codec="utf-8"))
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def read(text: str) -> Samples:
    """Every sample; each family has its HELP and TYPE before its samples, once."""
    assert text.endswith("\n")
    found: Samples = {}
    described: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            described.append(line.split(" ")[2])
        elif line.startswith("# TYPE "):
            assert line == f"# TYPE {described[-1]} gauge"
        else:
            sample = LINE.fullmatch(line)
            assert sample is not None, line
            assert sample["name"] == described[-1]
            found[sample["name"], frozenset(labels_of(sample["labels"] or "").items())] = float(sample["value"])
    assert len(set(described)) == len(described)
    return found


def labels_of(text: str) -> dict[str, str]:
    pairs = list(LABEL.finditer(text))
    assert "".join(pair[0] for pair in pairs) == text
    return {pair["name"]: re.sub(r"\\.", lambda sign: ESCAPES[sign[0]], pair["value"]) for pair in pairs}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"batch_offboard_{name}", frozenset(labels.items())]


@pytest.mark.fault(128, "The metrics file shows when something last happened, for an external alarm.")
def test_the_file_tells_of_the_last_notice(notice: Callable[..., Notice]) -> None:
    samples = read(as_metrics(notice()))
    assert value(samples, "last_notice_timestamp_seconds") == 1_795_500_000
    assert value(samples, "last_exit_code") == 1
    assert value(samples, "last_run_duration_seconds") == 1000
    assert value(samples, "last_simulated") == 0
    assert value(samples, "last_info", tenant="contoso/app", batch="20261124-0815-kqzt") == 1
    rows = {outcome: value(samples, "last_rows", outcome=outcome) for outcome in OUTCOMES}
    assert rows == {"submitted": 39, "failed": 1, "skipped": 0, "in_doubt": 0, "pending": 0, "cancelled": 0}


@pytest.mark.parametrize("happening", list(Happening))
def test_one_event_is_the_last(notice: Callable[..., Notice], happening: Happening) -> None:
    samples = read(as_metrics(notice(happening=happening)))
    assert {each: value(samples, "last_event", event=each) for each in Happening} == {
        each: float(each is happening) for each in Happening
    }


def test_every_series_is_there_whatever_happened(notice: Callable[..., Notice]) -> None:
    full = {(name, frozenset(name for name, _ in labels)) for name, labels in read(as_metrics(notice()))}
    bare = make_notice(started=None, batches=(), counts={}, reports=(), tenant="", next_command="")
    assert {(name, frozenset(name for name, _ in labels)) for name, labels in read(as_metrics(bare))} == full


@given(tenant=TEXT, batch=TEXT)
def test_labels_come_back_as_they_went_in(tenant: str, batch: str) -> None:
    samples = read(as_metrics(make_notice(tenant=tenant, batches=(batch,))))
    assert value(samples, "last_info", tenant=tenant, batch=batch) == 1


def test_a_lone_surrogate_does_not_spoil_the_file() -> None:
    assert "\\\\ud800" in as_metrics(make_notice(tenant="\ud800"))
