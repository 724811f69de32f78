"""Mail through a real server on loopback: encryption, logins, attachments, and servers that are difficult."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from batch_offboard.base.secret import Secret
from batch_offboard.defender.transport import tls_context
from batch_offboard.notices.attempts import ATTEMPTS, NotDelivered
from batch_offboard.notices.mail import Letter, Server, send, written
from tests.integration.notices.conftest import Post

if TYPE_CHECKING:
    from tests.integration.notices.conftest import Authority, OpenPost

NOW = 1_795_500_000.0
CANARY = "canary-Passwort-ß"
DEADLINE = 30.0
pytestmark = pytest.mark.usefixtures("at_once")


def letter(*attach: Path, room: int = 1000, to: tuple[str, ...] = ("a@example.com", "b@example.com")) -> Letter:
    return Letter("Subject é", "Line one\n.dot\nline é\n", "bo@example.com", to, NOW, attach, room)


async def mailed(server: Server, what: Letter, ca_file: Path | None = None) -> str:
    """Empty if it was delivered, else why not."""
    said = ""
    try:
        await send(what, server, lambda: tls_context(ca_file), DEADLINE)
    except NotDelivered as error:
        said = str(error)
    assert CANARY not in said
    return said


async def test_a_mail_arrives_whole_for_all_recipients(open_post: "OpenPost") -> None:
    async with open_post() as post:
        assert await mailed(Server(post.address), letter()) == ""
    (mail,) = post.mails
    assert (mail["Subject"], mail["From"], mail["To"]) == (
        "Subject é",
        "bo@example.com",
        "a@example.com, b@example.com",
    )
    assert mail["Date"] == "Tue, 24 Nov 2026 06:00:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.com>")
    assert mail.get_content().replace("\r\n", "\n") == "Line one\n.dot\nline é\n"
    assert post.envelopes == [("bo@example.com", ["a@example.com", "b@example.com"])]


# -- encryption --


@pytest.mark.parametrize("password", [CANARY, "plain-ascii"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_both_ways_of_tls_are_spoken_with_a_login(
    open_post: "OpenPost", authority: "Authority", tls: str, password: str
) -> None:
    post = Post(tls=authority.server(), users={"me": password})
    async with open_post(post, implicit=tls == "implicit"):
        server = Server(post.address, tls, "me", Secret(password))
        assert await mailed(server, letter(), authority.ca_file) == ""
    assert post.encrypted == [True]
    assert "AUTH" in post.verbs


async def test_a_server_without_starttls_gets_neither_mail_nor_login(
    open_post: "OpenPost", authority: "Authority"
) -> None:
    post = Post(offers=("AUTH PLAIN",), users={"me": CANARY})
    async with open_post(post):
        said = await mailed(Server(post.address, "starttls", "me", Secret(CANARY)), letter(), authority.ca_file)
    assert said.startswith("the server offers no STARTTLS")
    assert (post.mails, "AUTH" in post.verbs) == ([], False)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["unknown authority", "wrong host"])
async def test_a_certificate_that_proves_nothing_gets_neither_mail_nor_login(
    open_post: "OpenPost", authority: "Authority", tls: str, fault: str
) -> None:
    side = authority.server("elsewhere.example" if fault == "wrong host" else "127.0.0.1")
    if fault == "unknown authority":
        trustme.CA().cert_pem.write_to_path(authority.ca_file)
    post = Post(tls=side, users={"me": CANARY})
    async with open_post(post, implicit=tls == "implicit"):
        said = await mailed(Server(post.address, tls, "me", Secret(CANARY)), letter(), authority.ca_file)
    assert said == "the server's certificate is not trusted; see network.ca_file"
    assert (post.mails, "AUTH" in post.verbs) == ([], False)


async def test_a_server_that_speaks_no_tls_where_it_should_is_named_as_such(
    open_post: "OpenPost", authority: "Authority"
) -> None:
    async with open_post() as post:
        said = await mailed(Server(post.address, "implicit"), letter(), authority.ca_file)
    assert said == "TLS with the server failed; check notices.mail_tls"


@pytest.mark.parametrize(
    ("address", "tls", "way"),
    [
        ("smtp.example.com:587", None, "starttls"),
        ("smtp.example.com:25", None, "starttls"),
        ("smtp.example.com:465", None, "implicit"),
        ("127.0.0.1:25", None, "plain"),
        ("localhost:587", None, "plain"),
        ("[::1]:25", None, "plain"),
        ("127.0.0.1:465", None, "implicit"),
        ("127.0.0.1:25", "starttls", "starttls"),
        ("smtp.example.com:25", "implicit", "implicit"),
    ],
)
def test_only_mail_to_this_computer_goes_unencrypted(address: str, tls: str | None, way: str) -> None:
    assert Server(address, tls).way == way


def test_a_server_shows_no_password() -> None:
    assert CANARY not in repr(Server("x:25", None, "me", Secret(CANARY)))


# -- refusals --


async def test_a_refused_login_is_final_and_the_servers_words_are_not_repeated(
    open_post: "OpenPost", authority: "Authority"
) -> None:
    post = Post(tls=authority.server(), users={})
    async with open_post(post):
        said = await mailed(Server(post.address, "starttls", "me", Secret(CANARY)), letter(), authority.ca_file)
    assert said == "the server refused the login, notices.mail_user and its password (535)"
    assert post.verbs.count("AUTH") == 1


@pytest.mark.parametrize(
    ("verb", "answer", "words"),
    [
        ("MAIL", "550 no such sender", "the server refused the mail (550)"),
        ("DATA", "554 spam", "the server refused the mail (554)"),
        ("EHLO", "502 never heard", ""),  # HELO will do
    ],
)
async def test_a_refusal_for_good_is_final(open_post: "OpenPost", verb: str, answer: str, words: str) -> None:
    post = Post(offers=(), refuse={verb: [answer]})
    async with open_post(post):
        assert await mailed(Server(post.address), letter()) == words
    assert len(post.mails) == (0 if words else 1)


@pytest.mark.parametrize("verb", ["MAIL", "DATA"])
async def test_a_refusal_for_now_is_tried_again(open_post: "OpenPost", verb: str) -> None:
    post = Post(offers=(), refuse={verb: ["451 greylisted", "451 greylisted"]})
    async with open_post(post):
        assert await mailed(Server(post.address), letter()) == ""
    assert len(post.mails) == 1


async def test_a_server_that_refuses_for_now_for_ever_is_given_up(open_post: "OpenPost") -> None:
    post = Post(offers=(), refuse={"MAIL": ["451 greylisted"] * 100})
    async with open_post(post):
        assert await mailed(Server(post.address), letter()) == "the server refused the mail for now (451)"
    assert post.verbs.count("MAIL") == ATTEMPTS


async def test_recipients_that_are_all_refused_are_a_failure(open_post: "OpenPost") -> None:
    post = Post(offers=(), refuse={"RCPT": ["550 nobody", "550 nobody"]})
    async with open_post(post):
        assert await mailed(Server(post.address), letter()) == "the server refused the recipients (550)"


async def test_one_refused_recipient_is_named_and_the_others_get_the_mail(open_post: "OpenPost") -> None:
    post = Post(offers=(), refuse={"RCPT": ["550 nobody"]})
    async with open_post(post):
        said = await mailed(Server(post.address), letter())
    assert said == "the server accepted it for some recipients and refused it for a@example.com"
    assert post.envelopes == [("bo@example.com", ["b@example.com"])]


async def test_a_goodbye_that_fails_is_no_failure(open_post: "OpenPost") -> None:
    post = Post(offers=(), refuse={"QUIT": ["500 what"]})
    async with open_post(post):
        assert await mailed(Server(post.address), letter()) == ""
    assert len(post.mails) == 1


async def test_nobody_at_the_other_end_is_said(open_post: "OpenPost") -> None:
    async with open_post() as post:
        pass
    assert (await mailed(Server(post.address), letter())).startswith("the server cannot be reached (")


async def test_a_server_that_speaks_something_else_is_given_up() -> None:
    async def web(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await mailed(Server(address), letter()) != ""


@pytest.mark.looptime
async def test_a_server_that_never_greets_costs_the_deadline_and_no_more() -> None:
    start = asyncio.get_running_loop().time()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert await mailed(Server(address), letter()) == "no answer came within 30 s"
    assert asyncio.get_running_loop().time() - start == pytest.approx(DEADLINE, abs=0.5)


# -- attachments --


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path, Path]:
    csv, xlsx, other = tmp_path / "b-1.csv", tmp_path / "b-1.xlsx", tmp_path / "b-1.odd"
    csv.write_bytes(b"\xef\xbb\xbfrow\r\n1\r\n")
    xlsx.write_bytes(bytes(range(256)))
    other.write_bytes(b"x")
    return csv, xlsx, other


async def test_reports_arrive_byte_for_byte_under_their_names_and_kinds(
    open_post: "OpenPost", reports: tuple[Path, Path, Path]
) -> None:
    async with open_post() as post:
        assert await mailed(Server(post.address), letter(*reports)) == ""
    parts = list(post.mails[0].iter_attachments())
    assert [part.get_filename() for part in parts] == ["b-1.csv", "b-1.xlsx", "b-1.odd"]
    assert [part.get_content_type() for part in parts] == [
        "text/csv",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/octet-stream",
    ]
    assert [part.get_payload(decode=True) for part in parts] == [path.read_bytes() for path in reports]


@pytest.mark.parametrize(
    ("room", "names"), [(11 + 256, ["b-1.csv", "b-1.xlsx"]), (266, ["b-1.csv", "b-1.odd"]), (0, [])]
)
def test_what_finds_no_room_is_named_instead(reports: tuple[Path, Path, Path], room: int, names: list[str]) -> None:
    mail = written(letter(*reports, room=room))
    assert [part.get_filename() for part in mail.iter_attachments()] == names
    body = mail.get_body()
    assert body is not None
    left_out = [path.name for path in reports if path.name not in names] if room else []
    for name in left_out:
        assert f"Not attached: {name} (larger than" in body.get_content()
    assert ("Not attached" in body.get_content()) == bool(left_out)


def test_a_page_is_not_attached_and_its_absence_is_no_trouble(reports: tuple[Path, Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "b-1.html"
    page.write_text("<!doctype html>", encoding="utf-8")
    mail = written(letter(page, *reports))
    body = mail.get_body()
    assert [part.get_filename() for part in mail.iter_attachments()] == ["b-1.csv", "b-1.xlsx", "b-1.odd"]
    assert body is not None
    assert "Not attached" not in body.get_content()


def test_a_report_that_has_gone_is_named_and_the_mail_is_written(reports: tuple[Path, Path, Path]) -> None:
    reports[0].unlink()
    mail = written(letter(*reports))
    body = mail.get_body()
    assert body is not None
    assert "Not attached: b-1.csv (" in body.get_content()
    assert len(list(mail.iter_attachments())) == 2


def test_no_older_tls_is_spoken(authority: "Authority") -> None:
    assert tls_context(authority.ca_file).minimum_version >= ssl.TLSVersion.TLSv1_2
