"""Which machines the offboard API accepts, by platform, version and setting."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.platforms import Platforms, why_unsupported
from batch_offboard.core.tenant import Machine
from batch_offboard.defender.protocol.machines import machine_of

STANDARD, UNIFIED, MACOS_LINUX = Platforms.STANDARD, Platforms.UNIFIED_AGENT, Platforms.MACOS_LINUX


def machine(platform: str | None, **more: Any) -> Machine:
    found = machine_of({"id": "a" * 40, "osPlatform": platform, **more})
    assert found is not None
    return found


# Every known platform, on a machine that meets all other conditions: the first setting that accepts it.
RECENT: dict[str, dict[str, Any]] = {
    "Windows10": {"osBuild": 19045, "version": "22H2"},
    "Windows10WVD": {"osBuild": 19045, "version": "22H2"},
    "Windows11": {"osBuild": 26100, "version": "24H2"},
    "Windows11WVD": {"osBuild": 26100, "version": "24H2"},
    "WindowsServer2012R2": {"osBuild": 9600, "agentVersion": "10.8760.9600.1"},
    "WindowsServer2016": {"osBuild": 14393, "agentVersion": "10.8760.14393.1"},
    "macOS": {"version": "14.7"},
}
FIRST_SETTING = [
    ("Windows11", STANDARD),
    ("Windows11WVD", STANDARD),
    ("Windows10", STANDARD),
    ("Windows10WVD", STANDARD),
    ("WindowsServer2019", STANDARD),
    ("WindowsServer2022", STANDARD),
    ("WindowsServer2025", STANDARD),
    ("WindowsServer2028", STANDARD),
    ("WindowsServer2016", UNIFIED),
    ("WindowsServer2012R2", UNIFIED),
    ("macOS", MACOS_LINUX),
    ("Linux", MACOS_LINUX),
    ("WindowsServer2012", None),
    ("WindowsServer2008R2", None),
    ("WindowsServer2008", None),
    ("WindowsServer2018", None),
    ("WindowsServer", None),
    ("WindowsServer2019R2", None),
    ("WindowsServer20190", None),
    ("WindowsServer２０２２", None),
    ("Windows8.1", None),
    ("Windows8", None),
    ("Windows7", None),
    ("WindowsXp", None),
    ("Windows", None),
    ("Windows12", None),
    ("iOS", None),
    ("Android", None),
    ("Ubuntu", None),
    ("NeverHeardOf", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize("setting", Platforms)
@pytest.mark.parametrize(("platform", "first"), FIRST_SETTING)
def test_platform(platform: str | None, first: Platforms | None, setting: Platforms) -> None:
    taken = {
        STANDARD: {STANDARD},
        UNIFIED: {STANDARD, UNIFIED},
        MACOS_LINUX: {STANDARD, UNIFIED, MACOS_LINUX},
    }[setting]
    why = why_unsupported(machine(platform, **RECENT.get(platform or "", {})), setting)
    assert (why is None) == (first in taken)


@pytest.mark.parametrize("spelled", ["WINDOWS11", "windows11", "wInDoWs11", " Windows11 "])
def test_case_and_blanks_do_not_matter(spelled: str) -> None:
    assert why_unsupported(machine(spelled, osBuild=26100), STANDARD) is None
    assert why_unsupported(machine(spelled.replace("11", "Server2022")), STANDARD) is None


def test_the_settings_go_by_the_words_of_the_configuration() -> None:
    assert [*Platforms] == ["standard", "unified_agent", "macos_linux"]


WINDOWS_CLIENTS = ["Windows10", "Windows10WVD", "Windows11", "Windows11WVD"]
VERSIONS = [
    # build, version, why not
    (15062, None, "Build 15062 is older than Windows 10 version 1703"),
    (15063, None, None),
    (15064, None, None),
    (10240, "22H2", "Build 10240 is older than Windows 10 version 1703"),
    (14393, "1607", "Build 14393 is older than Windows 10 version 1703"),
    (19045, "1507", None),
    (26100, "24H2", None),
    (0, "22H2", "Build 0 is older than Windows 10 version 1703"),
    (None, "1702", "Version 1702 is older than 1703"),
    (None, "1703", None),
    (None, "1507", "Version 1507 is older than 1703"),
    (None, "1511", "Version 1511 is older than 1703"),
    (None, "1607", "Version 1607 is older than 1703"),
    (None, "1809", None),
    (None, "2004", None),
    (None, "20H2", None),
    (None, "21h1", None),
    (None, "24H2", None),
    (None, " 22H2 ", None),
    ("19045", "22H2", None),
    ("19045", "1607", "Version 1607 is older than 1703"),
]


@pytest.mark.parametrize("platform", WINDOWS_CLIENTS)
@pytest.mark.parametrize(("build", "version", "why"), VERSIONS)
def test_the_build_tells_and_without_one_the_version(
    platform: str, build: object, version: str | None, why: str | None
) -> None:
    assert why_unsupported(machine(platform, osBuild=build, version=version), STANDARD) == why


@pytest.mark.parametrize("platform", WINDOWS_CLIENTS)
@pytest.mark.parametrize("version", [None, "", "22H3", "22H", "2H2", "170", "17030", "１７０３", "Other", "10.0.19045"])
def test_a_client_whose_version_cannot_be_told_is_not_taken(platform: str, version: str | None) -> None:
    assert (
        why_unsupported(machine(platform, version=version), MACOS_LINUX)
        == f"The tenant does not say which version of {platform} this device has"
    )


@pytest.mark.parametrize("year", ["2012R2", "2016"])
@pytest.mark.parametrize(
    ("agent", "known_as"),
    [
        ("10.8760.17763.1", None),
        ("10.8.1", None),
        ("10.7", "10.7"),
        ("10.3720.16299.1", "10.3720.16299.1"),
        ("110.8", "110.8"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_old_server_needs_the_unified_agent(year: str, agent: str | None, known_as: str | None) -> None:
    platform = f"WindowsServer{year}"
    why = f"{platform} needs the unified agent, and this device has agent {known_as}" if known_as else None
    for setting in (UNIFIED, MACOS_LINUX):
        assert why_unsupported(machine(platform, agentVersion=agent), setting) == why


def test_a_server_of_2019_or_later_needs_no_build_and_no_agent() -> None:
    assert why_unsupported(machine("WindowsServer2019"), STANDARD) is None


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("14", None),
        ("14.0", None),
        ("15.1.2", None),
        ("26.0", None),
        ("13.7", "macOS 13.7 is older than macOS 14"),
        ("10.15", "macOS 10.15 is older than macOS 14"),
        ("9", "macOS 9 is older than macOS 14"),
        ("", "The tenant does not say which version of macOS this device has"),
        (None, "The tenant does not say which version of macOS this device has"),
        ("Sonoma", "The tenant does not say which version of macOS this device has"),
    ],
)
def test_a_mac_has_to_be_of_version_14_or_later(version: str | None, why: str | None) -> None:
    assert why_unsupported(machine("macOS", version=version), MACOS_LINUX) == why


def test_linux_is_taken_whatever_its_version() -> None:
    assert why_unsupported(machine("Linux"), MACOS_LINUX) is None


@pytest.mark.parametrize(
    ("platform", "setting", "why"),
    [
        ("macOS", STANDARD, "macOS is sent only with lookup.platforms: macos_linux"),
        ("macOS", UNIFIED, "macOS is sent only with lookup.platforms: macos_linux"),
        ("Linux", STANDARD, "Linux is sent only with lookup.platforms: macos_linux"),
        ("WindowsServer2016", STANDARD, "WindowsServer2016 is sent only with lookup.platforms: unified_agent"),
        ("Windows7", MACOS_LINUX, "The API does not accept Windows7"),
        ("iOS", MACOS_LINUX, "The API does not accept iOS"),
        ("", MACOS_LINUX, "The tenant does not say which platform this device has"),
    ],
)
def test_a_refusal_names_the_setting_or_the_platform(platform: str, setting: Platforms, why: str) -> None:
    assert why_unsupported(machine(platform), setting) == why


WORDS = st.sampled_from([*(platform or "" for platform, _ in FIRST_SETTING), "1703", "20H2", "14", "10.8"])


@given(WORDS | st.text(max_size=30), WORDS | st.text(max_size=10), st.none() | st.integers(), WORDS)
def test_each_setting_takes_whatever_the_one_before_takes(
    platform: str, version: str, build: int | None, agent: str
) -> None:
    shown = machine(platform, version=version, osBuild=build, agentVersion=agent)
    taken = [why_unsupported(shown, setting) is None for setting in Platforms]
    assert taken == sorted(taken)
