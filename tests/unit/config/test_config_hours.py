"""The section `window`: what it takes, what it refuses, and which window it means."""

from datetime import date, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from batch_offboard.base.errors import ConfigError
from batch_offboard.config import Hours, load_config
from batch_offboard.config.source import settings_in_text
from batch_offboard.config.tree import KEYS, Config
from batch_offboard.core.window import Window

NOWHERE = Path("/no-such-folder")
SIGN_IN = {"BATCH_OFFBOARD_CREDENTIAL__TYPE": "access_token", "BATCH_OFFBOARD_CREDENTIAL__TOKEN_ENV": "TOKEN"}
EVERY_DAY = frozenset(range(7))
MIDNIGHT = time(0)


def load(**keys: str) -> Hours:
    variables = {f"BATCH_OFFBOARD_WINDOW__{key.upper()}": value for key, value in keys.items()}
    return load_config(None, SIGN_IN | variables, NOWHERE).window


def refusal(**keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**keys)
    return str(caught.value)


def in_file(text: str) -> Hours:
    nested = settings_in_text(text, NOWHERE / "config.yaml", KEYS).nested()
    return Config.model_validate({"credential": {"type": "access_token", "token_env": "TOKEN"}, **nested}).window


def test_without_the_section_nothing_is_limited() -> None:
    assert load().window is None
    assert load(zone="Europe/Berlin").window is None


def test_all_keys_together_are_a_window() -> None:
    hours = load(
        **{"days": "mon-fri", "from": "22:00", "to": "6:00", "zone": "Europe/Berlin", "except": "2026-12-24,2026-12-31"}
    )
    assert hours.window == Window(
        frozenset(range(5)),
        time(22),
        time(6),
        ZoneInfo("Europe/Berlin"),
        frozenset({date(2026, 12, 24), date(2026, 12, 31)}),
    )


@pytest.mark.parametrize(
    ("keys", "window"),
    [
        ({"days": "sat,sun"}, Window(frozenset({5, 6}), MIDNIGHT, MIDNIGHT, None)),
        ({"from": "22:00", "to": "00:00"}, Window(EVERY_DAY, time(22), MIDNIGHT, None)),
        (
            {"except": "2026-12-24"},
            Window(EVERY_DAY, MIDNIGHT, MIDNIGHT, None, frozenset({date(2026, 12, 24)})),
        ),
    ],
)
def test_a_key_that_is_left_out_limits_nothing(keys: dict[str, str], window: Window) -> None:
    assert load(**keys).window == window


def test_days_and_dates_may_be_lists() -> None:
    text = "window:\n  days: [mon, wed-thu]\n  except:\n    - 2026-12-24\n    - 2026-12-31\n"
    hours = in_file(text)
    assert hours.days == frozenset({0, 2, 3})
    assert hours.frozen == frozenset({date(2026, 12, 24), date(2026, 12, 31)})


@pytest.mark.parametrize(
    ("key", "texts", "words"),
    [
        ("days", ["monday", "mon;tue", "1-5", "7", "true"], "days such as mon-fri"),
        ("from", ["22", "22.00", "24:00", "22:60", "10pm", "22:00:00", "-1:00"], "a time of day such as 22:00"),
        ("to", ["6", "06:00 Uhr"], "a time of day such as 22:00"),
        ("zone", ["", "Berlin", "Europe", "UTC+1", "../UTC", "/etc/localtime", "7"], "the IANA name of a time zone"),
        ("except", ["24.12.2026", "20261224", "2026-13-01", "2026-12-24,", "2026-W52-4"], "dates such as"),
    ],
)
def test_what_no_key_takes_is_refused_with_what_it_takes(key: str, texts: list[str], words: str) -> None:
    other = {"from": "to", "to": "from"}.get(key)
    for text in texts:
        said = refusal(**{key: text}, **({other: "12:00"} if other else {}))
        assert f"the variable BATCH_OFFBOARD_WINDOW__{key.upper()}: 'window.{key}' must be {words}" in said or (
            f"'window.{key}' must be local, or {words}" in said
        ), said


@pytest.mark.parametrize(("given", "missing"), [("from", "to"), ("to", "from")])
def test_one_end_needs_the_other(given: str, missing: str) -> None:
    assert f"'window.{missing}' is missing; {given} needs it" in refusal(**{given: "22:00"})


@pytest.mark.parametrize("text", ["days: [[mon]]", "days: []", "except: [2026-12-24, 7]", "from: [22:00]"])
def test_a_list_of_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"window:\n  {text}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"config\.yaml, line 2: 'window\.{text.partition(':')[0]}' must be"):
        load_config(path, SIGN_IN, tmp_path)


def test_a_secret_in_a_list_is_refused_unseen(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("window:\n  days: [mon, eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJyb2xlcyI6W119.c2ln]\n", "utf-8")
    with pytest.raises(ConfigError, match=r"line 2: 'window\.days' holds what looks like a secret") as caught:
        load_config(path, SIGN_IN, tmp_path)
    assert "eyJ" not in str(caught.value)
