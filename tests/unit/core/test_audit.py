"""The chain of the audit record: what breaks it, and what only an anchor detects."""

import hashlib
import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.audit import GENESIS, START, Anchor, Event, Kind, Record, canonical, chained, digest, verify

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
CONTENTS = st.dictionaries(st.text(max_size=8), JSON, max_size=4)
EVENTS = st.builds(Event, st.sampled_from(Kind), st.floats(0, 4e9), CONTENTS)
CHAINS = st.lists(EVENTS, min_size=1, max_size=6).map(lambda events: list(chained(events, START)))


def anchor_of(record: Record) -> Anchor:
    return Anchor(record.number, record.hash)


def some(number: int, word: str = "") -> list[Record]:
    events = [Event(Kind.INTENT, 1_795_500_000.0 + each, {"row": each, "word": word}) for each in range(number)]
    return list(chained(events, START))


@given(CHAINS)
def test_a_record_that_nobody_touched_is_intact(chain: list[Record]) -> None:
    finding = verify(chain, [anchor_of(record) for record in chain])
    assert finding.intact
    assert (finding.records, finding.last) == (len(chain), anchor_of(chain[-1]))


@given(CHAINS, st.data())
def test_a_change_of_any_part_of_any_record_is_found_there(chain: list[Record], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    name = data.draw(st.sampled_from([field.name for field in fields(Record)]))
    old = getattr(chain[index], name)
    kind = st.integers(-(2**60), 2**60) if isinstance(old, int) else st.text()
    new = data.draw(kind.filter(lambda value: value != old))
    chain[index] = replace(chain[index], **{name: new})  # type: ignore[arg-type]  # of the type that it had
    assert verify(chain).broken == index + 1


@given(CHAINS, st.data())
def test_a_record_that_is_taken_out_is_found_there(chain: list[Record], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    cut = chain[:index] + chain[index + 1 :]
    anchors = [anchor_of(chain[-1])]
    assert verify(cut, anchors).broken == index + 1
    if index < len(chain) - 1:
        assert verify(cut).broken == index + 1


@given(CHAINS, st.data())
def test_another_order_is_found(chain: list[Record], data: st.DataObject) -> None:
    other = data.draw(st.permutations(chain))
    if other != chain:
        first = next(index for index, record in enumerate(other) if record != chain[index])
        assert verify(other).broken == first + 1


@given(CHAINS, st.data())
def test_a_record_that_comes_twice_is_found(chain: list[Record], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(chain) - 1))
    assert verify([*chain[: index + 1], *chain[index:]]).broken == index + 2


@given(CHAINS, st.data())
def test_an_end_that_was_cut_off_is_found_by_an_anchor_alone(chain: list[Record], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(chain) - 1))
    assert verify(chain[:kept]).intact
    finding = verify(chain[:kept], [anchor_of(chain[-1])])
    assert (finding.records, finding.broken) == (kept, kept + 1)
    assert f"names number {len(chain)}; the end was cut off" in finding.problem


def test_a_chain_that_was_made_anew_is_found_by_an_anchor_alone() -> None:
    old, new = some(5), some(5, "forged")
    assert verify(new).intact
    finding = verify(new, [anchor_of(old[2])])
    assert finding.broken == 3
    assert "rebuilt" in finding.problem


def test_the_end_of_another_chain_does_not_fit() -> None:
    finding = verify([*some(5)[:3], *some(5, "forged")[3:]])
    assert (finding.broken, finding.problem) == (4, "Record 4 does not follow the one before it.")


def test_a_forged_chain_has_to_begin_with_number_1_and_leave_none_out() -> None:
    event = Event(Kind.INTENT, 1_795_500_000.0, {})
    assert verify(chained([event], Anchor(4, GENESIS))).problem == "Record 1 is missing; number 5 is in its place."
    (first,) = chained([event], START)
    later = chained([event], Anchor(7, first.hash))
    assert verify([first, *later]).problem == "Record 2 is missing; number 8 is in its place."


def test_every_anchor_counts() -> None:
    chain = some(5)
    good, bad = anchor_of(chain[1]), Anchor(4, "f" * 64)
    assert verify(chain, [good]).intact
    assert verify(chain, [good, bad]).broken == 4


def test_two_anchors_of_one_record_that_differ_cannot_both_be_in_it() -> None:
    chain = some(3)
    assert verify(chain, [Anchor(2, "f" * 64), anchor_of(chain[1])]).broken == 2


def test_nothing_recorded_is_intact_and_anchors_are_missed() -> None:
    assert verify([]).intact
    assert verify([], [Anchor(1, "f" * 64)]).broken == 1


def test_the_chain_goes_on_from_where_it_was() -> None:
    whole = some(4)
    rest = chained([Event(Kind.INTENT, 1_795_500_003.0, {"row": 3, "word": ""})], anchor_of(whole[2]))
    assert list(rest) == whole[3:]


def test_the_hash_is_what_the_documentation_says() -> None:
    (record,) = chained([Event(Kind.STARTED, 1_795_500_000.25, {"who": "ann@pc-7", "batch": "b"})], START)
    said = f'1\n1795500000250000\nstarted\n{{"batch":"b","who":"ann@pc-7"}}\n{"0" * 64}'
    assert record == Record(
        1, 1_795_500_000_250_000, "started", '{"batch":"b","who":"ann@pc-7"}', GENESIS,
        hashlib.sha256(said.encode()).hexdigest(),
    )  # fmt: skip
    assert record.hash == digest(record.number, record.at, record.kind, record.content, record.previous)


@given(CONTENTS)
def test_a_content_is_written_in_one_way_on_one_line_in_ascii(content: dict[str, object]) -> None:
    text = canonical(content)
    assert text == canonical(dict(reversed(content.items())))
    assert json.loads(text) == content
    assert text.isascii()
    assert text.isprintable()


@given(st.integers(1, 10**17), st.binary(min_size=32, max_size=32))
def test_an_anchor_is_read_as_it_is_written(number: int, content: bytes) -> None:
    anchor = Anchor(number, content.hex())
    assert Anchor.parse(f" {str(anchor).upper()}\n") == anchor


@pytest.mark.parametrize("text", ["", "7", f"0:{'a' * 64}", f"7:{'a' * 63}", f"7:{'g' * 64}", f"-1:{'a' * 64}", "٧:a"])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an anchor is the number of a record"):
        Anchor.parse(text)
