"""Secrets: where they are, and reading them into values that cannot be shown by accident.

The configuration only names secrets; they are read when a command needs them. Nothing here writes one anywhere, and no
message contains one.
"""

import importlib
import os
import shlex
import stat
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import IO

from batch_offboard.base.errors import ConfigError
from batch_offboard.base.secret import Secret

if sys.platform == "win32":
    from batch_offboard.config.access_list import (
        closing_command,
        descriptor_of,
        named,
        others_with_access,
        own_account,
    )

MAX_SECRET_BYTES = 64 * 1024


class SecretPlace(StrEnum):
    """Where a secret can be kept."""

    VARIABLE = "variable"
    FILE = "file"
    KEYRING = "keyring"


@dataclass(frozen=True, slots=True)
class SecretName:
    """Where a secret is, without its value.

    `name` is the variable, the file's path, or `service/user` of a keyring entry; `key` is the configuration key that
    named it, for messages.
    """

    place: SecretPlace
    name: str
    key: str


def read_secret(named: SecretName, environ: Mapping[str, str]) -> Secret:
    """Reads the secret. Raises `ConfigError` if it is missing, or in a file that others can read."""
    match named.place:
        case SecretPlace.VARIABLE:
            return _usable(environ.get(named.name, ""), f"The variable {named.name}", named.key)
        case SecretPlace.FILE:
            return _usable(_text_of_file(named), f"The file {named.name}", named.key)
        case SecretPlace.KEYRING:
            return _usable(_keyring_entry(named), f"The keyring entry {named.name}", named.key)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a file by its mode. `group` is the file's, `ours` are the process's. `sealed`: the file is on a
    read-only mount in a folder that only this user can enter, as systemd does it for credentials."""

    mode: int
    group: int
    ours: frozenset[int]
    sealed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether other users may read or change it. A group of this process may read it: Kubernetes mounts secrets as
        files of root that `fsGroup` can read."""
        granted = stat.S_IRGRP if self.group in self.ours else 0
        return not self.sealed and bool(self.mode & (stat.S_IRWXG | stat.S_IRWXO) & ~granted)


def read_private_file(path: Path, key: str) -> bytes:
    """The bytes of a file that other users may not read, such as a secret or a certificate with its key.

    `key` is the configuration key that named it. On Windows the access list counts, since there is no mode.
    """
    return _bytes_of_file(path, key, _refuse_shared)


def read_assertion_file(path: Path, key: str) -> bytes:
    """The bytes of a file that another identity provider writes and renews.

    Its mode is not checked: Kubernetes and CI systems mount it as a link that every user in the container can read,
    which cannot be changed, and the token in it expires within the hour.
    """
    return _bytes_of_file(path, key, None)


def _bytes_of_file(path: Path, key: str, check: Callable[[IO[bytes], Path, str], None] | None) -> bytes:
    try:
        with path.open("rb") as file:
            if check is not None:
                check(file, path, key)
            data = file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such name"
        remedy = f"let {_this_user()} read it" if isinstance(error, PermissionError) else "check its name"
        raise ConfigError(f"The file {path} ({key}) cannot be read ({reason}); {remedy}.") from None
    if len(data) > MAX_SECRET_BYTES:
        raise ConfigError(f"The file {path} ({key}) is larger than 64 KiB; name the right file.")
    return data


def _refuse_shared(file: IO[bytes], path: Path, key: str) -> None:
    """Checks the open file, not its path, so that it cannot be replaced between check and use."""
    if sys.platform == "win32":
        own = own_account()
        others = others_with_access(descriptor_of(file.fileno()), own)
        if others:
            names = ", ".join(map(named, others))
            raise ConfigError(
                f"The file {path} ({key}) is open to other users of this computer ({names}); type as the account that "
                f"runs this: {closing_command(path, own, others)}"
            )
        return
    facts = os.fstat(file.fileno())
    read_only = bool(os.fstatvfs(file.fileno()).f_flag & os.ST_RDONLY)
    folder = path.resolve().parent
    ours = frozenset({os.getegid(), *os.getgroups()})
    access = Access(facts.st_mode, facts.st_gid, ours, sealed=read_only and _is_closed(folder.stat(), ours))
    if access.is_open:
        remedy = remedy_at(path, folder, os.geteuid(), own=facts.st_uid == os.geteuid(), read_only=read_only)
        raise ConfigError(f"The file {path} ({key}) is open to other users of this computer; {remedy}")


def command_to_close(path: Path) -> str | None:
    """What to type so that other users cannot read or change the file; None if they cannot. Raises OSError."""
    if sys.platform == "win32":
        own = own_account()
        with path.open("rb") as file:
            others = others_with_access(descriptor_of(file.fileno()), own)
        return closing_command(path, own, others) if others else None
    return f"chmod 600 {shlex.quote(str(path))}" if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) else None


def _is_closed(folder: os.stat_result, ours: frozenset[int]) -> bool:
    """Whether only this user can enter the folder. If it has an ACL, as systemd sets one, the group bits of the mode
    are the mask of that ACL."""
    for_us = folder.st_gid == 0 or folder.st_gid in ours
    return not folder.st_mode & stat.S_IRWXO and (for_us or not folder.st_mode & stat.S_IRWXG)


def remedy_at(path: PurePath, folder: PurePath, user: int, *, own: bool, read_only: bool) -> str:
    """What to do about a file that others may read, depending on where it is. `folder` is its real folder, with links
    resolved; `own`: it belongs to this process's user, whose number is `user`."""
    if folder.name.startswith(".."):  # Kubernetes writes a volume into a dated folder and links to it
        return "set defaultMode: 0440 for its volume, and securityContext.fsGroup, in the manifest of the pod."
    if path.is_relative_to("/run/secrets"):  # Docker and Podman
        return (
            f"give the secret mode 0400 and uid {user} where it is mounted (Compose: mode and uid of the service's "
            f"secret; Podman: --secret NAME,uid={user},mode=0400)."
        )
    if read_only:
        return f"its mount is read-only, so give it mode 0400 and the owner {user} where it is mounted from."
    name = shlex.quote(str(path))
    return f"type: chmod 600 {name}" if own else f"type as root: chown {user} {name} && chmod 600 {name}"


def _this_user() -> str:
    if sys.platform == "win32":
        return "the account that this runs as"
    return f"user {os.geteuid()}"


def _text_of_file(named: SecretName) -> str:
    try:
        return read_private_file(Path(named.name), named.key).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"The file {named.name} ({named.key}) is not UTF-8 text; save it as UTF-8.") from None


def _keyring_entry(named: SecretName) -> str:
    """The keyring's entry. keyring is optional and slow to import, and its back ends raise different exceptions."""
    service, _, user = named.name.rpartition("/")
    try:
        keyring = importlib.import_module("keyring")
        return keyring.get_password(service, user) or ""
    except ImportError:
        raise ConfigError(
            f"{named.key} needs the package keyring, which is not installed; type: pip install keyring"
        ) from None
    except Exception as error:  # noqa: BLE001  # a back end may raise anything, with any text
        raise ConfigError(
            f"The keyring entry {named.name} ({named.key}) cannot be read ({type(error).__name__}); "
            "unlock the keyring or use a file."
        ) from None


def _usable(text: str, source: str, key: str) -> Secret:
    """The secret without the newline that editors and `echo` append."""
    value = text.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise ConfigError(f"{source} ({key}) is missing or empty; put the secret there.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise ConfigError(f"{source} ({key}) holds more than one line of text; leave only the secret there.")
    return Secret(value)
