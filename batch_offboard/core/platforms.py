"""Which platforms the offboard API accepts, as a table: what Microsoft documents, and what it adds in 2026.

Pure. offboard-machine-api: Windows 11, Windows 10 1703 and later, Windows Server 2019 and later; Server 2012 R2 and
2016 with the unified agent; not macOS, not Linux. The newest version of that page adds macOS 14 and later and Linux.
The service decides; this check only avoids calls that would fail.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from batch_offboard.core.tenant import Machine

FIRST_WINDOWS_10_BUILD = 15063  # version 1703
FIRST_SERVER_YEAR = 2019
FIRST_MACOS = 14

# The API has no field for the unified agent; its version number is the only hint.
UNIFIED_AGENT = "10.8"


class Platforms(StrEnum):
    """Which platforms are sent; each value includes the ones before it."""

    STANDARD = "standard"  # Windows 11, Windows 10 1703 and later, Windows Server 2019 and later
    UNIFIED_AGENT = "unified_agent"  # and Windows Server 2012 R2 and 2016 with the unified agent
    MACOS_LINUX = "macos_linux"  # and macOS 14 and later and Linux, which Microsoft adds in 2026


def why_unsupported(machine: Machine, platforms: Platforms) -> str | None:
    """Why the API does not accept this machine, as a sentence without its full stop, or None."""
    name = machine.platform.lower()
    year = re.fullmatch(r"windowsserver([0-9]{4})", name)
    if year is not None and int(year[1]) >= FIRST_SERVER_YEAR:
        return None
    if not name:
        return "The tenant does not say which platform this device has"
    since, check = _TABLE.get(name, (None, _nothing_to_check))
    if since is None:
        return f"The API does not accept {machine.platform}"
    if list(Platforms).index(platforms) < list(Platforms).index(since):
        return f"{machine.platform} is sent only with lookup.platforms: {since}"
    return check(machine)


def _nothing_to_check(_machine: Machine) -> str | None:
    return None


def _windows_10_or_later(machine: Machine) -> str | None:
    """The build decides; without one the version, which is a year and month (1703) or a half-year (20H2)."""
    if machine.build is not None:
        recent = machine.build >= FIRST_WINDOWS_10_BUILD
        return None if recent else f"Build {machine.build} is older than Windows 10 version 1703"
    if re.fullmatch(r"[0-9]{4}", machine.version):
        recent = int(machine.version) >= 1703
        return None if recent else f"Version {machine.version} is older than 1703"
    if re.fullmatch(r"[0-9]{2}H[12]", machine.version, re.IGNORECASE):
        return None
    return f"The tenant does not say which version of {machine.platform} this device has"


def _has_unified_agent(machine: Machine) -> str | None:
    if machine.agent_version.startswith(UNIFIED_AGENT):
        return None
    return f"{machine.platform} needs the unified agent, and this device has agent {machine.agent_version or 'unknown'}"


def _macos_14_or_later(machine: Machine) -> str | None:
    number = re.match(r"[0-9]{1,4}", machine.version)
    if number is None:
        return f"The tenant does not say which version of {machine.platform} this device has"
    recent = int(number[0]) >= FIRST_MACOS
    return None if recent else f"macOS {machine.version} is older than macOS {FIRST_MACOS}"


# osPlatform in lower case: the first setting with which it is sent, and a further check.
_TABLE: Mapping[str, tuple[Platforms, Callable[[Machine], str | None]]] = {
    "windows10": (Platforms.STANDARD, _windows_10_or_later),
    "windows10wvd": (Platforms.STANDARD, _windows_10_or_later),
    "windows11": (Platforms.STANDARD, _windows_10_or_later),
    "windows11wvd": (Platforms.STANDARD, _windows_10_or_later),
    "windowsserver2012r2": (Platforms.UNIFIED_AGENT, _has_unified_agent),
    "windowsserver2016": (Platforms.UNIFIED_AGENT, _has_unified_agent),
    "macos": (Platforms.MACOS_LINUX, _macos_14_or_later),
    "linux": (Platforms.MACOS_LINUX, _nothing_to_check),
}
