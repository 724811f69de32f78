"""The manual shows what the program prints, and its links lead somewhere."""

import re
import shutil
from pathlib import Path

import pytest

import tasks
from batch_offboard.base.clock import SystemClock
from batch_offboard.calls.gate import Gate
from batch_offboard.core.quota import TYPICAL_LATENCY, QuotaLimits
from tests.manual import PAGES, ROOT, Exchange, Replay, blocks, masked, page, sessions

PAGES_WITH_SESSIONS = [each for each in PAGES if sessions(each.read_text(encoding="utf-8"))]
UNITS = {"h": 3600, "min": 60, "s": 1}


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """A folder with the samples, a state folder that is nobody else's, and nobody at the terminal."""
    folder, state = tmp_path / "leavers", tmp_path / "state"
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    state.mkdir()
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(name, str(state))
    monkeypatch.delenv("BATCH_OFFBOARD_CONFIG", raising=False)
    monkeypatch.chdir(folder)
    return Replay(folder)


@pytest.mark.parametrize("path", PAGES_WITH_SESSIONS, ids=lambda path: path.name)
def test_every_session_prints_what_the_page_shows(path: Path, replay: Replay) -> None:
    for session in sessions(path.read_text(encoding="utf-8")):
        for exchange in session:
            assert masked(replay.type(exchange)) == masked(exchange.printed), " ".join(exchange.arguments)


def test_the_readme_shows_what_the_demo_prints(replay: Replay) -> None:
    [shown] = [block for block in blocks(page("README.md"), "text") if block.startswith("Plan sim-")]
    demo = tasks.demo_command(Path("python"))[3:]
    printed = replay.type(Exchange(tuple(demo), shown))

    assert masked(printed).splitlines()[: -len(tasks.REPORTS)] == masked(shown).splitlines()


def test_the_first_session_is_the_demos_command_and_needs_no_configuration() -> None:
    demo = " ".join(tasks.demo_command(Path("python"))[3:])

    assert demo.startswith("run samples/devices.csv --simulate")


@pytest.mark.parametrize("name", ["README.md", "docs/quota.md"])
def test_the_durations_that_the_manual_tells_are_those_of_the_plans_arithmetic(name: str) -> None:
    numbers, _, times = re.search(r"^\| devices \|.*\n.*\n.*$", page(name), re.MULTILINE)[0].splitlines()  # type: ignore[index]
    gate = Gate(QuotaLimits(), SystemClock())
    for devices, told in zip(cells(numbers), cells(times), strict=True):
        exactly = gate.time_for(int(devices.replace(",", "")), TYPICAL_LATENCY, 8)
        seconds = sum(int(number) * UNITS[unit] for number, unit in re.findall(r"([0-9]+) (h|min|s)", told))
        assert seconds == pytest.approx(exactly, rel=0.04), devices


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


# ── links ─────────────────────────────────────────────────────────────────────────────────────────────────


def anchors(text: str) -> set[str]:
    """The names of a page's headings, as they are linked to."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(path: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(path: Path) -> None:
    broken = []
    for link in links(path):
        name, _, heading = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.is_file() or (heading and heading not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)

    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links(ROOT / "README.md")}

    assert {f"docs/{path.name}" for path in PAGES if path.parent.name == "docs"} <= linked


def test_the_readme_is_short() -> None:
    assert len(page("README.md").splitlines()) <= 200
