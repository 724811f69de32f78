"""Checks before the first run: configuration, journal, reports, sign-in, permissions, the way to the API, the clock.

Each check gives one finding, and one that fails says what to do. Nothing is sent except two reading calls.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from batch_offboard.base.clock import local_time
from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.errors import BatchOffboardError, ConfigError, ExitCode, SignInError
from batch_offboard.calls.tenancy import HURRIED, CannotReadError, Reader
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.options import Options
from batch_offboard.config import AccessToken, Config, Endpoints
from batch_offboard.config.places import default_journal, lock_folder, rehearsal_journal
from batch_offboard.config.secret import command_to_close
from batch_offboard.core.settling import CLOCKS_APART
from batch_offboard.defender.signin import READ_PERMISSIONS, Claims, TokenKind
from batch_offboard.journal.drives import network_file_system, no_locks, synchronised_by
from batch_offboard.reports.files import ensure_writable

OFFBOARD_PERMISSION = "Machine.Offboard"
NEEDED = {OFFBOARD_PERMISSION, "Machine.Read.All", "Machine.Read"}

CLOCK_NOTICED = 60.0  # seconds
ENDS_SOON = 600.0  # seconds
SPACE_NEEDED = 200 << 20  # bytes; a journal of 100,000 devices with its rollback journal, and the reports


class Grade(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and, unless it is in order, what to do. `unsure`: it could not find out whether a run
    will be accepted."""

    check: str
    grade: Grade
    text: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.OK
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class CheckView:
    """All findings, in the order of the checks; the first that failed gives the exit code."""

    findings: Sequence[Finding]

    @property
    def exit_code(self) -> ExitCode:
        failed = (each.exit_code for each in self.findings if each.grade is Grade.FAILED)
        return next(failed, ExitCode.OK)

    @property
    def verdict(self) -> str:
        """What all findings together mean for a run, as far as none of them failed."""
        unsure = [each.check for each in self.findings if each.unsure]
        if unsure:
            return f"Not everything could be checked ({', '.join(unsure)}); a run may still be refused."
        return "Nothing prevents a run."


async def check(options: Options) -> CheckView:
    """Run all checks that make sense; a wrong configuration leaves no others."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            spare = replace(options, journal=Path(folder) / "journal.db")
            with Desk(spare, create=True) as desk:
                if options.simulate:
                    return CheckView([each async for each in _of_rehearsals(desk, options)])
                desk.tenants.config()
                return CheckView([each async for each in _findings(desk, options)])
    except ConfigError as error:
        return CheckView([Finding("configuration", Grade.FAILED, str(error), exit_code=ExitCode.USAGE)])


async def _of_rehearsals(desk: Desk, options: Options) -> AsyncIterator[Finding]:
    """What a rehearsal needs: the journal of rehearsals, locks, a folder for reports, and the embedded tenant."""
    from batch_offboard.calls.lookup import look_up

    yield Finding("configuration", Grade.OK, "a rehearsal needs none; the real one is not checked")
    for each in _journal(options.cwd / options.journal if options.journal else rehearsal_journal()):
        yield each
    for each in _locks():
        yield each
    yield _reports(options.cwd / "reports")
    try:
        async with desk.tenants.embedded([(None, "lt-0001")], "simulated check/rehearsal") as tenancy:
            fleet = await look_up(tenancy)
    except (BatchOffboardError, CannotReadError, OSError) as error:
        remedy = "allow programs of yours to listen on loopback"
        yield Finding(
            "API", Grade.FAILED, f"the embedded tenant does not answer ({error})", remedy, ExitCode.UNFINISHED
        )
    else:
        found = fleet.as_json()["devices"]
        yield Finding("API", Grade.OK, f"the embedded tenant answers, with {found} device; no real tenant was asked")


async def _findings(desk: Desk, options: Options) -> AsyncIterator[Finding]:
    config = desk.tenants.config()
    yield _configuration(config)
    journal = options.cwd / options.journal if options.journal else config.journal or default_journal()
    for each in _journal(journal):
        yield each
    for each in _locks():
        yield each
    yield _reports(options.cwd / "reports")
    signed_in = _sign_in(desk, config)
    yield signed_in
    if signed_in.grade is Grade.FAILED:
        return
    claims = desk.tenants.target().token.claims
    for each in _token(claims, config.endpoints, desk.clock.now().wall):
        yield each
    usable = journal if journal.exists() and os.access(journal, os.W_OK) else None
    async for each in _api(options, desk, usable):
        yield each


def _configuration(config: Config) -> Finding:
    tenant = f", tenant {config.tenant_id}" if config.tenant_id else ""
    return Finding("configuration", Grade.OK, f"cloud {config.cloud}, credential {config.credential.type}{tenant}")


# -- files --


def _journal(path: Path) -> Iterator[Finding]:
    folder = _nearest(path.parent)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield _bad("journal", f"{path} is no plain file", "name another with journal or --journal")
    elif not os.access(path if path.exists() else folder, os.W_OK):
        yield _bad("journal", f"{path} cannot be written", "change its permissions, or name another with --journal")
    elif (reason := no_locks(folder)) is not None:
        yield _bad(
            "journal",
            f"{path} is on a drive that does not support locks ({reason}), so two runs could work at the same time",
            "keep the journal on a disk of this computer",
        )
    elif shutil.disk_usage(folder).free < SPACE_NEEDED:
        yield _bad("journal", f"the disk of {path} is nearly full", "free 200 MB there before a run")
    elif path.exists() and (closing := command_to_close(path)) is not None:
        yield _odd("journal", f"{path} is open to other users of this computer", f"type: {closing}")
    elif (system := network_file_system(folder)) is not None:
        yield _odd("journal", f"{path} is on a network drive ({system})", "keep the journal on a disk of this computer")
    elif (client := synchronised_by(folder, os.environ)) is not None:
        yield _odd(
            "journal", f"{path} is in a folder that {client} copies while it is used", "keep the journal elsewhere"
        )
    else:
        yield Finding("journal", Grade.OK, f"{path}{'' if path.exists() else ' (made by the first plan)'}")


def _locks() -> Iterator[Finding]:
    """The user's own locks lie in the state folder, which may be on a share although the journal is not."""
    try:
        folder = lock_folder()
    except BatchOffboardError as error:
        yield Finding("locks", Grade.FAILED, str(error), exit_code=ExitCode.USAGE)
        return
    reason = no_locks(folder)
    if reason is not None:
        yield _bad(
            "locks",
            f"{folder} is on a drive that does not support locks ({reason})",
            "move the user's state folder to a disk of this computer",
        )


def _reports(folder: Path) -> Finding:
    made = not folder.exists()
    try:
        ensure_writable(folder / "check.csv")
    except BatchOffboardError as error:
        return Finding("reports", Grade.FAILED, str(error), exit_code=ExitCode.USAGE)
    if made:
        folder.rmdir()
    return Finding("reports", Grade.OK, str(folder))


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above that exists."""
    return next((each for each in (folder, *folder.parents) if each.exists()), Path(folder.anchor or "."))


# -- sign-in and token --


def _sign_in(desk: Desk, config: Config) -> Finding:
    try:
        claims = desk.tenants.target().token.sign_in()
    except SignInError as error:
        return Finding("sign-in", Grade.FAILED, str(error), exit_code=ExitCode.SIGN_IN)
    except BatchOffboardError as error:
        return Finding("sign-in", Grade.FAILED, str(error), exit_code=ExitCode.USAGE)
    if isinstance(config.credential, AccessToken):
        return Finding("sign-in", Grade.OK, f"a ready token{_of(claims)}")
    host = urlsplit(config.endpoints.sign_in).netloc
    return Finding("sign-in", Grade.OK, f"{host} gave a token{_of(claims)}")


def _of(claims: Claims) -> str:
    whose = f" of application {claims.application} in tenant {claims.tenant}" if claims.tenant else ""
    return whose + (f", good until {local_time(claims.expires)}" if claims.expires is not None else "")


def _token(claims: Claims, endpoints: Endpoints, now: float) -> Iterator[Finding]:
    if claims.audience and not _same_audience(claims.audience, endpoints.audience):
        yield _refused(
            "audience",
            f"the token is for {claims.audience}, not for {endpoints.audience}",
            "ask for a token of that resource, or correct audience and cloud",
        )
    if claims.expires is not None and claims.expires - now < ENDS_SOON:
        left = spoken_duration(claims.expires - now)
        yield _odd("token", f"it ends in {left}", "a longer run needs a fresh one")
    yield from _permissions(claims)


def _same_audience(one: str, other: str) -> bool:
    return one.rstrip("/").lower() == other.rstrip("/").lower()


def _permissions(claims: Claims) -> Iterator[Finding]:
    granted = claims.permissions
    if claims.kind is TokenKind.UNKNOWN and not granted:
        yield Finding(
            "permissions",
            Grade.WARNING,
            f"they cannot be read from this token, so it is not known whether it has {OFFBOARD_PERMISSION}",
            "compare them with the application's API permissions",
            unsure=True,
        )
        return
    kind = "delegated permission" if claims.kind is TokenKind.USER else "application permission"
    if OFFBOARD_PERMISSION not in granted:
        yield _refused(
            "permissions",
            f"the token lacks {OFFBOARD_PERMISSION}{_it_has(granted)}",
            f"grant the application the {kind} {OFFBOARD_PERMISSION} of WindowsDefenderATP, with admin consent",
        )
    elif not claims.may_read:
        yield _odd(
            "permissions",
            f"{OFFBOARD_PERMISSION}, but none to read the tenant",
            "grant Machine.Read.All too, for the look-up before sending and the truth after it",
        )
    else:
        yield Finding("permissions", Grade.OK, ", ".join(sorted(set(granted) & (NEEDED | set(READ_PERMISSIONS)))))
    more = sorted(set(granted) - NEEDED)
    if more:
        yield _odd("permissions", f"more than this program needs: {', '.join(more)}", "remove them")


def _it_has(granted: Sequence[str]) -> str:
    return f" (it has {', '.join(sorted(granted))})" if granted else " and has no other permission"


# -- the API --


async def _api(options: Options, spare: Desk, journal: Path | None) -> AsyncIterator[Finding]:
    """One reading call for each list; they are kept in the journal's call log if there is one already."""
    host = urlsplit(spare.tenants.target().api_url).netloc
    times: tuple[float, float] | None = None
    try:
        with nullcontext(spare) if journal is None else Desk(replace(options, journal=journal)) as desk:
            async with (
                desk.tenants.at(spare.tenants.target()) as tenancy,
                tenancy.reader(HURRIED) as reader,
            ):
                try:
                    finding = await _reach(host, reader)
                finally:
                    times = reader.server_time
        yield finding
    except CannotReadError as error:
        yield _odd("API", f"{host} answers, but {error}", "without it devices are not looked up and doubts stay")
    except SignInError as error:
        yield Finding("API", Grade.FAILED, str(error), exit_code=ExitCode.SIGN_IN)
    except BatchOffboardError as error:
        yield Finding("API", Grade.FAILED, str(error), exit_code=ExitCode.USAGE)
    if times is not None:
        yield _clock(*times)


async def _reach(host: str, reader: Reader) -> Finding:
    """One call for a device, and one for a machine action, which a token may not be allowed to read."""
    has_devices, no_actions = await reader.reach_machines(), ""
    try:
        await reader.reach_actions()
    except CannotReadError as error:
        no_actions = str(error)
    return _tenant(host, no_actions, has_devices=has_devices)


def _tenant(host: str, no_actions: str, *, has_devices: bool) -> Finding:
    """A wrong host answers like a tenant without devices; in both cases nothing can be offboarded there.
    `no_actions` says why the machine actions may not be read, if they may not."""
    if not has_devices:
        return _bad(
            "API",
            f"{host} answers, but lists no devices",
            "check api_url, cloud and tenant_id, and which devices this sign-in may see",
        )
    if no_actions:
        return _odd(
            "API",
            f"{host} answers and lets devices be read, but {no_actions}",
            "without them open actions are not seen, doubts stay, and `track` cannot follow",
        )
    return Finding("API", Grade.OK, f"{host} answers, and lets devices and machine actions be read")


def _clock(server: float, ours: float) -> Finding:
    """The server tells whole seconds only, and the answer took a moment."""
    apart = ours - server
    words = f"this computer's clock is {spoken_duration(abs(apart))} {'ahead' if apart > 0 else 'behind'}"
    if abs(apart) >= CLOCKS_APART:
        return _bad("clock", words, "set it right: tokens end, and doubts are settled, by it")
    if abs(apart) >= CLOCK_NOTICED:
        return _odd("clock", words, "set it right")
    return Finding("clock", Grade.OK, "agrees with the server's")


def _bad(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Grade.FAILED, text, remedy, ExitCode.USAGE)


def _refused(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Grade.FAILED, text, remedy, ExitCode.SIGN_IN)


def _odd(check: str, text: str, remedy: str) -> Finding:
    return Finding(check, Grade.WARNING, text, remedy)
