"""The faults that can be simulated, and the small language that specifies them.

Pure: it decides which fault applies to a call, not how it is sent. `FAULT_HELP` is the manual.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from batch_offboard.simulator.calls import Group, Operation


class _Kind(NamedTuple):
    help: str
    accepts: bool  # whether the call is carried out before the fault
    value: str = r""  # what may follow the equals sign


_NUMBER = r"\d{1,6}(?:\.\d{1,6})?"
_URL = r"https?://\S+|/\S*"

_KINDS: dict[str, _Kind] = {
    "reset": _Kind("the connection is reset", accepts=False),
    "no-reply-close": _Kind("the connection is closed without an answer", accepts=False),
    "hang": _Kind("no answer is sent", accepts=False),
    "late": _Kind("=SECONDS: the call is carried out and answered that much later (600)", accepts=True, value=_NUMBER),
    "hold": _Kind("the call is carried out and answered once POST /_simulator/release lists its device", accepts=True),
    "html": _Kind("200 with the HTML page of a sign-in portal", accepts=False),
    "redirect": _Kind("=URL: 302 to that URL (/login)", accepts=False, value=_URL),
    "slow": _Kind("=SECONDS: the answer is sent byte by byte, one each SECONDS (1)", accepts=True, value=_NUMBER),
    "cut": _Kind("the answer's JSON is cut off; cut=wire: the connection closes early", accepts=True, value="wire"),
    "huge": _Kind("the answer never ends; huge=gzip: a compressed one", accepts=True, value="gzip"),
    "garbage": _Kind(
        "=WHAT: an invalid body: bytes, utf16, bom, deep, nan, number, duplicate, list or empty",
        accepts=True,
        value="bytes|utf16|bom|deep|nan|number|duplicate|list|empty",
    ),
    "long-header": _Kind("the answer has a header of a megabyte", accepts=True),
    "no-id": _Kind("the answer has no id", accepts=True),
    "empty-id": _Kind("the answer's id is empty", accepts=True),
    "other-machine": _Kind("the answer names another machineId", accepts=True),
    "other-comment": _Kind("the answer is an old action with another user's comment", accepts=True),
    "empty-list": _Kind("a list is empty", accepts=True),
    "foreign-link": _Kind("=URL: a list's next page is at that URL (on another host)", accepts=True, value=_URL),
    "loop-link": _Kind("a list's next page is the same page", accepts=True),
}

# What may follow the equals sign of a status, by its first digit.
_STATUS_VALUES = {"2": "empty|body", "3": _URL, "4": r"\S+", "5": r"\S+"}

_AFTER = "-after"
_SHARE = r"0?\.\d+|1\.0*|\d{1,3}(?:\.\d+)?%"
_CONDITION = re.compile(
    rf"(?P<rest>.*)(?:@(?P<first>\d{{1,9}})(?P<to>-(?P<last>\d{{0,9}}))?|:(?P<share>{_SHARE})|:(?P<device>[0-9a-f]{{40}}))",
    re.ASCII | re.IGNORECASE,
)

FAULT_HELP = f"""\
A fault is [OPERATION/]KIND[=VALUE][@NUMBER][:SHARE][:DEVICE].

OPERATION  {", ".join(Operation)}, or read for all but the first two (default: offboard)
@NUMBER    only the call with that number, from 1; @5-9 and @5- are ranges. Only the operation's calls (for DEVICE,
           if given) that pass sign-in and quota are counted
:SHARE     only that share of the calls, 0.1 or 10%
:DEVICE    only calls for the device with that ID

KIND is a status or one of the words below. A kind that alters the answer of an accepted call carries the call out
first; the others refuse or drop it, unless {_AFTER} is appended (500-after, reset-after).

  400 to 599  that status with the API's error body; =CODE sets its code (400=OsPlatformNotSupported), a number
              or date+30 or date-30 its Retry-After. 429=none has no Retry-After, any other word is sent
              unchanged; 429=30,60 sends two headers
  300 to 399  that status; =URL is its Location
  200 to 299  accepted with that status; =empty and =body say whether there is a body (202 and 204: none)
""" + "".join(f"  {name:<15} {kind.help}\n" for name, kind in _KINDS.items())


@dataclass(frozen=True, slots=True)
class Fault:
    """One specified fault. `kind` is a word of `FAULT_HELP` or `status`."""

    spec: str
    scope: str
    kind: str
    status: int
    value: str
    accepts: bool
    first: int = 1
    last: int | None = None
    share: float = 1.0
    device: str | None = None


def parse_fault(spec: str) -> Fault:
    """The fault that a text specifies. Raises `ValueError` with one sentence."""
    scope, slash, rest = spec.strip().partition("/")
    if not slash or scope.lower() not in {*Operation, *Group}:
        scope, rest = Group.OFFBOARD, spec.strip()
    word, conditions = _conditions(spec, rest)
    name, _, value = word.partition("=")
    base = name.lower().removesuffix(_AFTER)
    kind, status, accepts = _kind(spec, name.lower(), base)
    _check_value(spec, base, value, given="=" in word)
    return conditions(Fault(spec, scope.lower(), kind, status, value, accepts))


def _kind(spec: str, name: str, base: str) -> tuple[str, int, bool]:
    after = name.endswith(_AFTER)
    if re.fullmatch(r"[2-5][0-9]{2}", base):
        accepts = base[0] == "2"
        kind, status = "status", int(base)
    elif base in _KINDS:
        accepts = _KINDS[base].accepts
        kind, status = base, 0
    else:
        raise ValueError(f"{spec!r} is not a fault: {name!r} is neither a status (200 to 599) nor one of {_words()}.")
    if after and accepts:
        raise ValueError(f"{spec!r} is not a fault: {base} already happens after acceptance; leave {_AFTER} out.")
    return kind, status, accepts or after


def _check_value(spec: str, base: str, value: str, *, given: bool) -> None:
    allowed = _KINDS[base].value if base in _KINDS else _STATUS_VALUES[base[0]]
    if given and not re.fullmatch(allowed or r"(?!)", value, re.ASCII):
        raise ValueError(f"{spec!r} is not a fault: {value!r} cannot follow {base}=; see the help on faults.")


def _words() -> str:
    return ", ".join(_KINDS)


def _conditions(spec: str, text: str) -> tuple[str, Callable[[Fault], Fault]]:
    """Split the conditions off the end of a spec; the rest is the kind and its value."""
    found: dict[str, str] = {}
    while (match := _CONDITION.fullmatch(text)) is not None:
        parts = {name: part for name, part in match.groupdict().items() if part is not None and name != "rest"}
        if parts.keys() & found.keys():
            raise ValueError(f"{spec!r} is not a fault: it has two conditions of the same kind.")
        found |= parts
        text = match["rest"]
    _refuse_leftovers(spec, text)
    return text, lambda fault: _limited(fault, found)


def _refuse_leftovers(spec: str, text: str) -> None:
    odd = re.search(r"[@:]", text.partition("=")[0])
    if odd:
        raise ValueError(
            f"{spec!r} is not a fault: {text[odd.start() :]!r} is not a number (@17, @5-9), share (:0.1, :10%) or "
            "device ID."
        )


def _limited(fault: Fault, found: dict[str, str]) -> Fault:
    first = int(found.get("first", 1))
    last = _last(found, first)
    share = _share(found.get("share", "1.0"))
    if first < 1 or (last is not None and last < first) or share > 1:
        raise ValueError(f"{fault.spec!r} is not a fault: numbers ascend from 1, shares are at most 1.0 or 100%.")
    device = found["device"].lower() if "device" in found else None
    return Fault(
        fault.spec, fault.scope, fault.kind, fault.status, fault.value, fault.accepts, first, last, share, device
    )


def _last(found: dict[str, str], first: int) -> int | None:
    if "first" not in found or found.get("to") == "-":
        return None
    return int(found["last"]) if "to" in found else first


def _share(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


class FaultPlan:
    """The faults of one run. Which calls they apply to depends on the seed and the order of the calls."""

    def __init__(self, specs: Iterable[str], seed: int) -> None:
        self._faults = [parse_fault(spec) for spec in specs]
        self._counts = [0] * len(self._faults)
        self._draws = [Random(f"{seed}/{index}/{fault.spec}") for index, fault in enumerate(self._faults)]  # noqa: S311  # repeatable on purpose

    def end(self) -> None:
        """Apply no more faults."""
        self._faults.clear()

    def next_fault(self, scopes: Collection[str], device_id: str | None) -> Fault | None:
        """The fault of the next call with these scopes: the first that applies, in the order given; or None."""
        met = None
        for index, fault in enumerate(self._faults):
            if fault.scope in scopes and self._strikes(index, fault, device_id):
                met = met or fault
        return met

    def _strikes(self, index: int, fault: Fault, device_id: str | None) -> bool:
        # Every fault counts calls and draws random numbers of its own, so adding one does not change the others.
        if fault.device is not None and fault.device != (device_id or "").lower():
            return False
        self._counts[index] += 1
        drawn = self._draws[index].random() < fault.share
        number = self._counts[index]
        return drawn and fault.first <= number and (fault.last is None or number <= fault.last)
