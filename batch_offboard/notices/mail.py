"""Sends a notice to a mail server, encrypted unless the server is this computer."""

import smtplib
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from batch_offboard.base.addresses import is_loopback
from batch_offboard.base.background import in_background
from batch_offboard.base.secret import Secret
from batch_offboard.base.text import one_line
from batch_offboard.notices.attempts import NotDelivered, Temporary, within

IMPLICIT_TLS_PORT = 465  # RFC 8314

_TYPES = {
    ".csv": ("text", "csv"),
    ".json": ("application", "json"),
    ".xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}

# Mail filters quarantine a page with a script, together with its mail.
_HELD_BACK = {".html"}

# The order matters: the first is a subclass of the second.
_FOR_GOOD: Mapping[type[Exception], str] = {
    ssl.SSLCertVerificationError: "the server's certificate is not trusted; see network.ca_file",
    ssl.SSLError: "TLS with the server failed; check notices.mail_tls",
    smtplib.SMTPNotSupportedError: "the server offers no STARTTLS, no login, or no such address; nothing was sent",
    smtplib.SMTPHeloError: "the server's answer to the greeting is not valid SMTP",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail. `at`: seconds since the epoch; `attach`: files to attach; `room`: bytes that all of them may take."""

    subject: str
    text: str
    sender: str
    recipients: tuple[str, ...]
    at: float
    attach: tuple[Path, ...] = ()
    room: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """HOST:PORT and its encryption: `tls` is starttls, implicit, or None to choose by port and host."""

    address: str
    tls: str | None = None
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return urlsplit(f"//{self.address}").hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(f"//{self.address}").port or 0

    @property
    def way(self) -> str:
        """implicit, starttls, or plain, which never leaves this computer."""
        if self.tls is not None:
            return self.tls
        if self.port == IMPLICIT_TLS_PORT:
            return "implicit"
        return "plain" if is_loopback(self.host) else "starttls"


async def send(letter: Letter, server: Server, context: Callable[[], ssl.SSLContext], deadline: float) -> None:
    """Deliver within `deadline` seconds. Raises NotDelivered. `context` makes the TLS context."""

    async def attempt() -> None:
        try:
            await in_background(partial(_hand_over, letter, server, context, deadline))
        except (OSError, smtplib.SMTPException) as error:
            raise _verdict(error) from None

    await within(deadline, attempt)


def written(letter: Letter) -> EmailMessage:
    """The message with its attachments; a file that is too large or cannot be read is named in the text."""
    message = EmailMessage()
    message["Subject"] = letter.subject
    message["From"] = letter.sender
    message["To"] = ", ".join(letter.recipients)
    message["Date"] = format_datetime(datetime.fromtimestamp(letter.at, UTC))
    message["Message-ID"] = make_msgid(domain=letter.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
    attached, left_out = _attachments(letter.attach, letter.room)
    message.set_content(letter.text + "".join(f"\nNot attached: {why}\n" for why in left_out))
    for path, data in attached:
        main, sub = _TYPES.get(path.suffix.lower(), ("application", "octet-stream"))
        message.add_attachment(data, maintype=main, subtype=sub, filename=one_line(path.name))
    return message


def _attachments(paths: Sequence[Path], room: int) -> tuple[list[tuple[Path, bytes]], list[str]]:
    attached: list[tuple[Path, bytes]] = []
    left_out: list[str] = []
    for path in paths if room else ():
        if path.suffix.lower() in _HELD_BACK:
            continue
        try:
            with path.open("rb") as file:
                data = file.read(room + 1)
        except OSError as error:
            left_out.append(f"{one_line(path.name)} ({error.strerror})")
            continue
        if len(data) > room:
            left_out.append(f"{one_line(path.name)} (larger than notices.mail_attach_mib leaves room for)")
            continue
        attached.append((path, data))
        room -= len(data)
    return attached, left_out


def _hand_over(letter: Letter, server: Server, context: Callable[[], ssl.SSLContext], timeout: float) -> None:
    """One attempt; `timeout` is seconds for each step of it."""
    message = written(letter)
    if server.way == "implicit":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context())
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=timeout)
    try:
        if server.way == "starttls":
            smtp.starttls(context=context())
        if server.user is not None and server.password is not None:
            _log_in(smtp, server.user, server.password.reveal())
        refused = smtp.send_message(message, letter.sender, letter.recipients)
        with suppress(smtplib.SMTPException, OSError):  # the mail was accepted already
            smtp.quit()
    finally:
        smtp.close()
    if refused:
        raise NotDelivered(f"the server accepted it for some recipients and refused it for {', '.join(refused)}")


def _log_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    """Log in with PLAIN in UTF-8 (RFC 4616), since smtplib's login takes only ASCII. All servers with a login offer
    PLAIN."""
    if user.isascii() and password.isascii():
        smtp.login(user, password)
        return
    smtp.ehlo_or_helo_if_needed()
    words = b64encode("\0".join(("", user, password)).encode()).decode("ascii")
    code, _ = smtp.docmd("AUTH", f"PLAIN {words}")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, b"")


def _verdict(error: Exception) -> NotDelivered | Temporary:
    """The error for a failed attempt. The server's own text is not shown, since it may repeat what was sent to it."""
    for kind, why in _FOR_GOOD.items():
        if isinstance(error, kind):
            return NotDelivered(why)
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            return _by_code("the recipients", max(code for code, _ in refused.values()))
        case smtplib.SMTPAuthenticationError(smtp_code=code):
            return _by_code("the login, notices.mail_user and its password", code)
        case smtplib.SMTPResponseException(smtp_code=code):
            return _by_code("the mail", code)
        case smtplib.SMTPServerDisconnected():
            return Temporary("the server closed the connection")
        case _:
            words = getattr(error, "strerror", None) or type(error).__name__
            return Temporary(f"the server cannot be reached ({words})")


def _by_code(what: str, code: int) -> NotDelivered | Temporary:
    """A code from 400 to 499 is a temporary failure, one from 500 is permanent (RFC 5321, 4.2.1)."""
    if 400 <= code < 500:
        return Temporary(f"the server refused {what} for now ({code})")
    return NotDelivered(f"the server refused {what} ({code})")
