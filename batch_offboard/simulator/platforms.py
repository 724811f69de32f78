"""Which machines the service accepts for offboarding: three versions of the rule.

Microsoft's pages contradict each other and change; a tenant may follow any of these. Pure: it examines one machine's
JSON and returns the error code; the tenant refuses the call.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

FIRST_WINDOWS_10_BUILD = 15063  # version 1703


class PlatformRule(StrEnum):
    """Which machines are accepted; each rule includes the ones before it."""

    CLIENTS_AND_2019 = "a"  # Windows 11, Windows 10 1703 and later, Server 2019 and later
    UNIFIED_AGENT = "b"  # and Server 2012 R2 and 2016 with the unified agent
    MAC_AND_LINUX = "c"  # and macOS and Linux


_CLIENTS = {"windows10", "windows11", "windows10wvd"}
_OLD_SERVERS = {"windowsserver2012r2", "windowsserver2016"}
_NOT_WINDOWS = {"macos", "linux"}

# The API has no field for the unified agent; its version numbers are the only hint.
_UNIFIED_AGENT = "10.8"


def refusal_code(machine: Mapping[str, object], rule: PlatformRule) -> str | None:
    """The service's error code for a machine that the rule does not accept, or None."""
    platform = str(machine.get("osPlatform") or "").lower()
    if platform in _CLIENTS:
        return None if _is_new_enough(machine) else "OsPlatformNotSupported"
    if platform in _OLD_SERVERS and rule is not PlatformRule.CLIENTS_AND_2019:
        unified = str(machine.get("agentVersion") or "").startswith(_UNIFIED_AGENT)
        return None if unified else "ClientVersionNotSupported"
    if platform in _NOT_WINDOWS:
        return None if rule is PlatformRule.MAC_AND_LINUX else "OsPlatformNotSupported"
    return None if _server_year(platform) >= 2019 else "OsPlatformNotSupported"


def _is_new_enough(machine: Mapping[str, object]) -> bool:
    build = machine.get("osBuild")
    if isinstance(build, int):
        return build >= FIRST_WINDOWS_10_BUILD
    version = str(machine.get("version") or "")
    if re.fullmatch(r"[0-9]{4}", version):
        return int(version) >= 1703
    return re.fullmatch(r"[0-9]{2}H[12]", version, re.IGNORECASE) is not None


def _server_year(platform: str) -> int:
    match = re.fullmatch(r"windowsserver([0-9]{4})", platform)
    return int(match[1]) if match else 0
