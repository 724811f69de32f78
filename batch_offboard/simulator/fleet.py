"""Fleets for the tenant: generated ones as varied as a real tenant's, and ones made for given devices.

The same count, seed and time always produce the same fleet.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha1
from random import Random
from typing import NamedTuple

from batch_offboard.simulator.machines import HEALTHY, Machine
from batch_offboard.simulator.timestamps import stamp

_DOMAIN = "contoso.example"
_DAY = 86_400.0


class _Model(NamedTuple):
    """A kind of machine: how common it is, its names and its operating system."""

    weight: float
    platform: str
    versions: tuple[tuple[str, int | None], ...]  # version and build, as Microsoft pairs them
    prefixes: tuple[str, ...]
    group: tuple[int, str]
    agent: str | None = "10.8800"


_CLIENTS, _SERVERS, _OTHERS = (12, "Workstations"), (20, "Servers"), (31, "Macs and Linux")
_PHONES, _NONE = (40, "Phones"), (0, "")

_MODELS = (
    _Model(0.46, "Windows11", (("23H2", 22631), ("24H2", 26100), ("25H2", 26200)), ("lt", "ws"), _CLIENTS),
    _Model(0.24, "Windows10", (("21H2", 19044), ("22H2", 19045), ("1809", 17763)), ("lt", "ws"), _CLIENTS),
    _Model(0.005, "Windows10", (("1607", 14393), ("1511", 10586)), ("kiosk",), _CLIENTS),
    _Model(0.03, "Windows10WVD", (("22H2", 19045),), ("avd",), _CLIENTS),
    _Model(0.05, "WindowsServer2019", (("1809", 17763),), ("srv-app", "srv-sql"), _SERVERS),
    _Model(0.06, "WindowsServer2022", (("21H2", 20348),), ("srv-app", "srv-web", "dc"), _SERVERS),
    _Model(0.02, "WindowsServer2025", (("24H2", 26100),), ("srv-app", "srv-hv"), _SERVERS),
    _Model(0.02, "WindowsServer2016", (("1607", 14393),), ("srv-old", "srv-file"), _SERVERS),
    _Model(0.01, "WindowsServer2012R2", (("6.3", 9600),), ("srv-old",), _SERVERS, "10.3720"),
    _Model(0.04, "macOS", (("14", None), ("15", None)), ("mbp", "mac"), _OTHERS, "101.24"),
    _Model(0.03, "Linux", (("22.4", None), ("9.4", None)), ("lnx", "k8s-node"), _OTHERS, "101.24"),
    _Model(0.01, "iOS", (("18.1", None),), ("iphone",), _PHONES, "1.1"),
    _Model(0.01, "Android", (("15", None),), ("android",), _PHONES, "1.0"),
    _Model(0.005, "Windows7", (("7", 7601),), ("lab",), _NONE, "10.3720"),
    _Model(0.005, "Windows8.1", (("8.1", 9600),), ("lab",), _NONE, "10.3720"),
    _Model(0.005, "Windows", (("", None),), ("unknown",), _NONE, None),
)

_TAGS = ("leavers-2026-11", "finance", "berlin", "pilot", "vip", "shop-floor")


def generate_fleet(count: int, seed: int, now: float) -> list[Machine]:
    """`count` generated machines with all fields; `now` in seconds since the epoch."""
    return list(_invented(count, seed, now))


def fleet_of(pairs: Iterable[tuple[str | None, str | None]], seed: int, now: float, *, extra: int = 0) -> list[Machine]:
    """A healthy, supported Windows machine for each (device ID, name), and `extra` generated ones.

    Either part of a pair may be missing; a missing ID is the SHA-1 of the name. A duplicate device or name is one
    machine, so that no name becomes ambiguous. Omitted fields are those of a healthy machine.
    """
    pairs = list(pairs)
    found: dict[str, Machine] = {}
    seen = _times(stamp(now - 300 * _DAY), stamp(now - _DAY / 24))
    for device_id, name in pairs:
        if device_id:
            key = device_id.strip().lower()
            found.setdefault(key, {"id": key, "computerDnsName": name or f"pc-{key[:10]}.{_DOMAIN}"} | seen)
    names = {str(machine["computerDnsName"]).lower() for machine in found.values()}
    for name in (name for device_id, name in pairs if name and not device_id):
        if name.lower() not in names:
            names.add(name.lower())
            key = device_id_of(name)
            found[key] = {"id": key, "computerDnsName": name} | seen
    return [*found.values(), *_others(found, names, _invented(extra, seed, now))]


def device_id_of(name: str) -> str:
    """The invented ID of a device of which only the name is known."""
    return sha1(name.lower().encode(), usedforsecurity=False).hexdigest()


def _others(known: dict[str, Machine], names: set[str], machines: Iterable[Machine]) -> Iterator[Machine]:
    for machine in machines:
        clash = machine["id"] in known
        if str(machine["computerDnsName"]).lower() in names:
            machine["computerDnsName"] = f"x-{machine['computerDnsName']}"
        if not clash:
            yield machine


def _times(first: str, last: str) -> Machine:
    return {"firstSeen": first, "lastSeen": last}


def _invented(count: int, seed: int, now: float) -> Iterator[Machine]:
    draw = Random(f"fleet/{seed}")  # noqa: S311  # the fleet must be reproducible; nothing here is secret
    models = draw.choices(_MODELS, weights=[model.weight for model in _MODELS], k=count)
    before: Machine | None = None
    for number, model in enumerate(models):
        machine = _machine(model, number, seed, draw, now)
        if before is not None:
            _make_namesake(machine, before, draw.random())
        yield machine
        before = machine


def _make_namesake(machine: Machine, before: Machine, chance: float) -> None:
    """Make some machines second records of the same name, as of a reinstalled computer; some of them are merged."""
    if chance >= 0.02 or before["mergedIntoMachineId"] is not None:
        return
    machine["computerDnsName"] = before["computerDnsName"]
    machine["isPotentialDuplication"] = True
    if chance < 0.01:
        machine["mergedIntoMachineId"] = before["id"]


def _machine(model: _Model, number: int, seed: int, draw: Random, now: float) -> Machine:
    device_id = sha1(f"{seed}/{number}".encode(), usedforsecurity=False).hexdigest()
    version, build = draw.choice(model.versions)
    chance = draw.random()
    onboarded = _onboarding(model, draw.random())
    last_seen = now - _unseen_for(chance, draw)
    address = f"10.{20 + number // 65_025 % 200}.{number // 255 % 255}.{number % 255 + 1}"
    return HEALTHY | {
        "id": device_id,
        "computerDnsName": f"{draw.choice(model.prefixes)}-{number:04d}.{_DOMAIN}",
        "firstSeen": stamp(last_seen - draw.uniform(1, 700) * _DAY),
        "lastSeen": stamp(last_seen),
        "osPlatform": model.platform,
        "version": version or None,
        "osBuild": build,
        "agentVersion": model.agent and f"{model.agent}.{build or 0}.{1000 + number % 9000}",
        "healthStatus": _health(chance, onboarded),
        "onboardingStatus": onboarded,
        "rbacGroupId": model.group[0],
        "rbacGroupName": model.group[1] or None,
        "machineTags": sorted(draw.sample(_TAGS, k=draw.choice((0, 0, 0, 1, 1, 2)))),
        "riskScore": draw.choice(("None", "None", "None", "Informational", "Low", "Medium", "High")),
        "exposureLevel": draw.choice(("Low", "Low", "Medium", "High")),
        "deviceValue": draw.choice(("Normal", "Normal", "Normal", "Low", "High")),
        "isAadJoined": model.group is _CLIENTS,
        "aadDeviceId": _guid(device_id) if model.group is _CLIENTS else None,
        "managedBy": "Intune" if model.group is _CLIENTS else "Unknown",
        "lastIpAddress": address,
        "ipAddresses": [_adapter(address, device_id)],
        "vmMetadata": _cloud(device_id) if model.group is _SERVERS and chance > 0.8 else None,
    }


def _onboarding(model: _Model, chance: float) -> str:
    if model.platform == "Windows":
        return "InsufficientInfo"
    if chance < 0.03:
        return "CanBeOnboarded"
    return "Unsupported" if chance < 0.035 else "Onboarded"


def _unseen_for(chance: float, draw: Random) -> float:
    """Seconds since the machine was last seen: at least a week for inactive ones."""
    return draw.uniform(8, 170) * _DAY if chance < 0.12 else draw.uniform(0.01, 6) * _DAY


def _health(chance: float, onboarded: str) -> str:
    if chance < 0.12:
        return "Inactive"
    if onboarded != "Onboarded":
        return "Unknown"
    return "ImpairedCommunication" if chance < 0.13 else "NoSensorData" if chance < 0.135 else "Active"


def _adapter(address: str, device_id: str) -> Machine:
    mac = device_id[:12].upper()
    return {"ipAddress": address, "macAddress": mac, "type": "Ethernet", "operationalStatus": "Up"}


def _cloud(device_id: str) -> Machine:
    return {
        "vmId": _guid(device_id[::-1]),
        "cloudProvider": "Azure",
        "resourceId": None,
        "subscriptionId": _guid("5" * 40),
    }


def _guid(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-9{digits[17:20]}-{digits[20:32]}"
