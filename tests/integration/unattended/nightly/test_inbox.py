"""The folder itself: what is found in it, and that a move never loses or replaces anything."""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import InputError, UsageError
from batch_offboard.unattended.nightly.inbox import Found, Inbox, InboxError, free_name, sha256_of

posix_only = pytest.mark.skipif(os.name != "posix", reason="a folder's mode is no wall on Windows")


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    found = Inbox(tmp_path)
    found.prepare()
    return found


def put(inbox: Inbox, name: str, text: str = "x") -> Found:
    (inbox.path / name).write_text(text, encoding="utf-8")
    return next(found for found in inbox.waiting() if found.path.name == name)


def test_its_folders_are_made_once_and_kept(tmp_path: Path) -> None:
    for _ in range(2):
        Inbox(tmp_path).prepare()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done", "failed", "working"]


def test_a_file_that_has_a_folders_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "done").touch()
    with pytest.raises(UsageError, match="cannot be created"):
        Inbox(tmp_path).prepare()


def test_a_sheet_that_is_taken_lies_in_working_whole(inbox: Inbox) -> None:
    taken = inbox.take(put(inbox, "leavers.csv", "content"))
    assert taken == inbox.working / "leavers.csv"
    assert taken.read_text(encoding="utf-8") == "content"
    assert inbox.waiting() == []
    assert inbox.at_work() == [taken]


def test_a_sheet_that_has_changed_since_the_look_is_not_taken(inbox: Inbox) -> None:
    found = put(inbox, "leavers.csv", "half")
    (inbox.path / "leavers.csv").write_text("half and half", encoding="utf-8")
    assert inbox.take(found) is None
    assert (inbox.path / "leavers.csv").read_text(encoding="utf-8") == "half and half"
    assert inbox.at_work() == []


def test_a_sheet_that_is_gone_is_not_taken(inbox: Inbox) -> None:
    found = put(inbox, "leavers.csv")
    found.path.unlink()
    assert inbox.take(found) is None


@posix_only
def test_a_link_that_has_taken_a_sheets_place_is_put_back(inbox: Inbox, tmp_path: Path) -> None:
    found = put(inbox, "leavers.csv")
    found.path.rename(tmp_path / "elsewhere")
    found.path.symlink_to(tmp_path / "elsewhere")
    assert inbox.take(found) is None
    assert found.path.is_symlink()
    assert list(inbox.working.iterdir()) == []


def test_a_name_that_is_taken_already_gets_a_number(inbox: Inbox) -> None:
    for number in range(3):
        inbox.take(put(inbox, "leavers.csv", str(number)))
    texts = {path.name: path.read_text(encoding="utf-8") for path in inbox.at_work()}
    assert texts == {"leavers.csv": "0", "leavers.1.csv": "1", "leavers.2.csv": "2"}


def test_a_name_that_is_too_long_for_a_longer_one_is_cut(inbox: Inbox) -> None:
    taken = inbox.take(put(inbox, f"{'x' * 240}.csv"))
    assert taken is not None
    moved = inbox.move(taken, free_name(inbox.done, f"20261124-0815-kqzt-{taken.name}"), "Why.")
    assert moved.suffix == ".csv"
    assert len(list(inbox.done.iterdir())) == 2


def test_a_sheet_that_cannot_be_moved_is_named(inbox: Inbox) -> None:
    with pytest.raises(InboxError, match=r"leavers\.csv cannot be moved"):
        inbox.move(inbox.working / "leavers.csv", inbox.done / "leavers.csv")


def test_a_sheet_that_cannot_be_read_has_no_digest(inbox: Inbox) -> None:
    with pytest.raises(InputError, match=r"leavers\.csv cannot be read"):
        sha256_of(inbox.working / "leavers.csv")


def test_an_inbox_that_is_gone_is_named(inbox: Inbox, tmp_path: Path) -> None:
    other = Inbox(tmp_path / "gone")
    with pytest.raises(InboxError, match="cannot be read"):
        other.waiting()


@pytest.mark.parametrize(("age", "settled"), [(0, False), (59.9, False), (60, True), (1e6, True), (-60, False)])
def test_a_sheet_is_settled_a_minute_after_its_last_change(age: float, settled: bool) -> None:
    assert Found(Path("a.csv"), 1, 1000.0, (0, 0)).is_settled(1000.0 + age) == settled


def test_a_change_in_a_far_future_settles_nothing_and_keeps_nobody_waiting() -> None:
    found = Found(Path("a.csv"), 1, 10_000.0, (0, 0))
    assert not found.is_settled(10_000.0 - 3600)
    assert found.is_settled(10_000.0 - 3601)


NAMES = st.text(st.sampled_from("ab.~é世 -"), min_size=1, max_size=12).filter(lambda name: name.strip("."))


@given(NAMES, st.integers(1, 5))
def test_a_free_name_is_free_and_keeps_the_suffix(tmp_path_factory: pytest.TempPathFactory, name: str, n: int) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for _ in range(n):
        path = free_name(folder, f"{name}.csv")
        assert path.parent == folder
        assert path.suffix == ".csv"
        path.touch(exist_ok=False)
    assert len(list(folder.iterdir())) == n


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("leavers.zip", "a ZIP archive", "unpack it"),
        ("leavers.7z", "an archive", "unpack it"),
        ("LEAVERS.RAR", "an archive", "unpack it"),
        ("leavers.tar.gz", "an archive", "unpack it"),
        ("leavers.numbers", "an Apple Numbers document", "export it from Numbers as Excel or CSV"),
        ("leavers.gsheet", "only a link to a Google sheet", "download the sheet"),
        ("leavers.pdf", "a PDF", "export the list"),
        ("leavers.docx", "a Word document", "put the list itself into a sheet"),
        ("leavers.msg", "a mail", "save its attachment"),
        ("leavers.pxlsx", "encrypted by a sensitivity label", "save an unprotected copy"),
        ("leavers.fods", "a spreadsheet of a kind that is not read", "save the list as XLSX or CSV"),
        ("leavers", "a file of a kind that is not read", "save the list as XLSX or CSV, or move the file elsewhere"),
        ("leavers.bak", "a file of a kind that is not read", "save the list as XLSX or CSV"),
    ],
)
def test_a_file_that_is_not_read_is_named_with_what_to_do(inbox: Inbox, name: str, what: str, remedy: str) -> None:
    (inbox.path / name).touch()
    (stranger,) = inbox.strangers(now())
    assert stranger.path.name == name
    assert stranger.sentence.startswith(f"{what}; {remedy}")


def test_folders_are_named_unless_they_are_the_inboxs_own(inbox: Inbox) -> None:
    for name in ("november.csv", "leavers.numbers", ".git"):
        (inbox.path / name).mkdir()
    assert [(found.path.name, found.sentence[:20]) for found in inbox.strangers(now())] == [
        ("leavers.numbers", "an Apple Numbers doc"),
        ("november.csv", "a folder; put the sh"),
    ]


def test_a_download_is_named_only_when_it_will_not_be_finished_any_more(inbox: Inbox) -> None:
    (inbox.path / "leavers.csv.crdownload").touch()
    assert inbox.strangers(now()) == []
    (stranger,) = inbox.strangers(now() + 2 * 86_400)
    assert "never finished; put the sheet into the inbox again" in stranger.sentence


@given(
    name=st.text("abc.~$_", min_size=1, max_size=8), suffix=st.sampled_from(["", ".csv", ".zip", ".tmp", ".why.txt"])
)
def test_whatever_lies_in_the_inbox_is_a_sheet_or_named_or_a_programs_own(name: str, suffix: str) -> None:
    with TemporaryDirectory() as folder:
        inbox = Inbox(Path(folder))
        inbox.prepare()
        full = f"{name}{suffix}"
        if full.strip(".") == "":
            return
        (inbox.path / full).touch()
        sheets = [found.path.name for found in inbox.waiting()]
        named = [found.path.name for found in inbox.strangers(now() + 2 * 86_400)]
        own = full.startswith((".", "~$")) or full.endswith(".why.txt")
        assert sheets + named == ([] if own else [full])


def now() -> float:
    """The time of files that are made now."""
    return time.time()
