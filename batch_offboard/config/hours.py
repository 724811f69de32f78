"""The section `window`: the hours in which `nightly` may send. A key that is left out limits nothing."""

import re
from datetime import date, time, tzinfo
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator

from batch_offboard.config.values import KeyProblemError, Part
from batch_offboard.core.window import Window, weekdays

LOCAL = "local"
EVERY_DAY = frozenset(range(7))


def _texts(value: object) -> list[str]:
    """The items of a text with commas, or of a list."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise ValueError("it is neither text nor a list")
    return [_text(each) for each in texts]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it is not text")  # noqa: TRY004  # pydantic reports only ValueError as a wrong value
    return value.strip()


def _days(value: object) -> object:
    return None if value is None else weekdays(",".join(_texts(value)))


def _dates(value: object) -> object:
    if value is None:
        return None
    texts = _texts(value)
    if not all(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) for text in texts):
        raise ValueError("it is not a date")
    return frozenset(map(date.fromisoformat, texts))


def _time(value: object) -> object:
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", _text(value))
    if found is None:
        raise ValueError("it is not a time")
    return time(int(found[1]), int(found[2]))


def _zone(value: object) -> str:
    name = _text(value)
    if name != LOCAL:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # unknown, not a name, or the name of a folder of zones
            raise ValueError("there is no such zone") from None
    return name


Clock = Annotated[time | None, BeforeValidator(_time)]
A_TIME = "a time of day such as 22:00, and 00:00 for midnight"


class Hours(Part):
    """When `nightly` may send: `from` one time `to` another in local time of `zone`, on `days`, except on the dates in
    `except`."""

    days: Annotated[
        frozenset[int] | None,
        BeforeValidator(_days),
        Field(description="days such as mon-fri or mon,wed,sat, or a list of them, or daily"),
    ] = None
    start: Annotated[Clock, Field(alias="from", description=A_TIME)] = None
    end: Annotated[Clock, Field(alias="to", description=A_TIME)] = None
    zone: Annotated[
        str,
        BeforeValidator(_zone),
        Field(description=f"{LOCAL}, or the IANA name of a time zone such as Europe/Berlin"),
    ] = LOCAL
    frozen: Annotated[
        frozenset[date] | None,
        BeforeValidator(_dates),
        Field(alias="except", description="dates such as 2026-12-24, separated by commas or as a list"),
    ] = None

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if self.start is not None and self.end is None:
            raise KeyProblemError("to", "is missing; from needs it")
        if self.end is not None and self.start is None:
            raise KeyProblemError("from", "is missing; to needs it")
        return self

    @property
    def window(self) -> Window | None:
        """The window, or None if nothing is limited."""
        if self.days is None and self.start is None and self.frozen is None:
            return None
        zone: tzinfo | None = None if self.zone == LOCAL else ZoneInfo(self.zone)
        midnight = time(0)
        return Window(
            EVERY_DAY if self.days is None else self.days,
            self.start or midnight,
            self.end or midnight,
            zone,
            self.frozen or frozenset(),
        )
