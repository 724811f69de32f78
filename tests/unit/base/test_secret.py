"""Secrets: what shows of them, and where they are read from."""

import copy
import dataclasses
import json
import pickle
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from batch_offboard.base import secret as secrets
from batch_offboard.base.errors import ConfigError
from batch_offboard.base.secret import Secret
from batch_offboard.commands.options import Options
from batch_offboard.config import AccessToken, Certificate, ClientSecret, SecretName, SecretPlace, read_secret
from batch_offboard.config.secret import Access, remedy_at
from tests.commands import ANN

CANARY = "q7R~canary.Secret-1"


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{:>20}".format,
        "{!r}".format,
        lambda secret: f"{secret}",
        lambda secret: f"{[secret]}",
    ],
)
def test_a_secret_shows_a_mask(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(CANARY))
    assert "***" in shown
    assert CANARY not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="not stored"):
        pickle.dumps(Secret(CANARY), protocol)


def test_what_a_command_was_given_does_not_show_the_environment() -> None:
    assert CANARY not in repr(Options({"BATCH_OFFBOARD_TOKEN": CANARY}, Path.cwd(), ANN))


def test_a_secret_survives_copies_and_is_not_taken_apart() -> None:
    @dataclasses.dataclass(frozen=True)
    class Holder:
        secret: Secret

    holder = Holder(Secret(CANARY))
    assert CANARY not in repr(dataclasses.asdict(holder))
    assert copy.deepcopy(holder).secret.reveal() == CANARY
    assert copy.copy(holder.secret).reveal() == CANARY
    with pytest.raises(TypeError):
        json.dumps(holder.secret)
    with pytest.raises(TypeError):
        vars(holder.secret)
    with pytest.raises(TypeError):
        holder.secret.__getstate__()


VARIABLE = SecretName(SecretPlace.VARIABLE, "MY_SECRET", "credential.secret_env")


def test_a_secret_is_read_from_the_variable_that_is_named() -> None:
    assert read_secret(VARIABLE, {"MY_SECRET": CANARY}).reveal() == CANARY
    assert read_secret(VARIABLE, {"MY_SECRET": CANARY + "\r\n"}).reveal() == CANARY


@pytest.mark.parametrize("environ", [{}, {"MY_SECRET": ""}, {"MY_SECRET": " \n"}])
def test_a_missing_secret_names_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secret(VARIABLE, environ)
    assert str(caught.value) == (
        "The variable MY_SECRET (credential.secret_env) is missing or empty; put the secret there."
    )


@pytest.mark.parametrize("value", [f"{CANARY}\nX-Header: 1", f"{CANARY}\x00", f"{CANARY}\udcff", f"{CANARY}\n\n"])
def test_a_secret_is_one_line(value: str) -> None:
    with pytest.raises(ConfigError, match="more than one line") as caught:
        read_secret(VARIABLE, {"MY_SECRET": value})
    assert CANARY not in str(caught.value)


def test_each_credential_says_where_its_secret_is() -> None:
    token = AccessToken(type="access_token", token_env="T")
    assert token.token == SecretName(SecretPlace.VARIABLE, "T", "credential.token_env")
    keyring = ClientSecret(type="client_secret", secret_keyring="bo/app")
    assert keyring.secret == SecretName(SecretPlace.KEYRING, "bo/app", "credential.secret_keyring")
    certificate = Certificate(type="certificate", certificate_file=Path("c"), password_file=Path("p"))
    assert certificate.password == SecretName(SecretPlace.FILE, "p", "credential.password_file")
    assert Certificate(type="certificate", certificate_file=Path("c")).password is None


KEYRING = SecretName(SecretPlace.KEYRING, "batch/offboard/app", "credential.secret_keyring")


def test_a_keyring_entry_is_service_and_user(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {("batch/offboard", "app"): CANARY}
    ring = SimpleNamespace(get_password=lambda service, user: entries.get((service, user)))
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert read_secret(KEYRING, {}).reveal() == CANARY
    entries.clear()
    with pytest.raises(ConfigError, match=r"The keyring entry batch/offboard/app .* is missing or empty"):
        read_secret(KEYRING, {})


def test_a_keyring_that_fails_is_a_sentence_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_password(service: str, user: str) -> str:
        raise RuntimeError(CANARY)

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=get_password))
    with pytest.raises(ConfigError, match=r"cannot be read \(RuntimeError\)") as caught:
        read_secret(KEYRING, {})
    assert CANARY not in str(caught.value)


def test_without_the_keyring_package_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="pip install keyring"):
        read_secret(KEYRING, {})


# -- what stands in the environment --


@contextmanager
def nothing_known() -> Iterator[None]:
    """What is masked inside is masked nowhere else."""
    before = set(secrets._known)
    secrets._known.clear()
    try:
        yield
    finally:
        secrets._known.clear()
        secrets._known.update(before)


def masked(text: str, environ: Mapping[str, str]) -> str:
    with nothing_known():
        secrets.hide_environment(environ)
        return secrets.without_secrets(text)


# Long enough to be masked, and nothing that stands in a sentence anyway.
PIECE = st.from_regex(r"[A-Z0-9!$*+~-]{4,9}Q", fullmatch=True)
PASSWORD = st.lists(PIECE, min_size=1, max_size=3).flatmap(
    lambda pieces: st.sampled_from("#/?\\@:%; ").map(lambda delimiter: (delimiter.join(pieces), pieces))
)


@given(
    password=PASSWORD,
    shape=st.sampled_from(
        [
            "http://ann:{}@proxy:8080",
            "ann:{}@proxy",
            "socks5://ann:{}@proxy",
            "http://CONTOSO\\ann:{}@proxy:80",
            "http://ann:{}@proxy:8080:8081",
            "http://ann:{}@proxy:word",
            "http://ann:{}",
        ]
    ),
    name=st.sampled_from(["HTTPS_PROXY", "http_proxy", "ALL_PROXY"]),
)
@example(password=("GEHEIM#1", ["GEHEIM"]), shape="http://ann:{}@proxy:8080", name="HTTPS_PROXY")
@example(password=("GEHEIM#1", ["GEHEIM"]), shape="http://{}@proxy:8080", name="HTTPS_PROXY")
def test_no_piece_of_a_proxys_password_is_shown_however_a_library_has_cut_it(
    password: tuple[str, list[str]], shape: str, name: str
) -> None:
    """`Port could not be cast to integer value as 'GEHEIM'` is what becomes of http://ann:GEHEIM#1@proxy."""
    whole, pieces = password
    assume("@" not in whole or "@" in shape)  # by the grammar of a URL, what follows its last @ is a host
    address = shape.format(whole)
    told = " ".join(f"{piece!r} in {address!r}, {json.dumps(piece)}," for piece in [*pieces, whole])
    shown = masked(told, {name: address})
    assert [piece for piece in [*pieces, whole] if piece in shown] == []


@pytest.mark.parametrize(
    "name",
    ["MY_SECRET", "DB_PASSWORD", "db_pwd", "GITHUB_TOKEN", "AZURE_CLIENT_SECRET", "APIKEY", "STORAGE_KEY", "HTTP_AUTH",
     "TEAMS_WEBHOOK_URL", "AZURE_STORAGE_CONNECTION_STRING", "PRIVATE_KEY", "BATCH_OFFBOARD_SECRET"],
)  # fmt: skip
def test_the_value_of_a_variable_that_may_hold_a_secret_is_masked(name: str) -> None:
    value = "line one 'q\n-- the second\\line"
    for told in (value, repr(value), json.dumps(value), value.splitlines()[1], f"x={value};"):
        shown = masked(told, {name: value})
        assert "second" not in shown
        assert "line one" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [("PWD", "/home/ann"), ("BATCH_OFFBOARD_CREDENTIAL__SECRET_ENV", "MY_SECRET"), ("SSH_AUTH_SOCK", "/run/agent"),
     ("TOKENIZERS_PARALLELISM", "false"), ("HTTPS_PROXY", "http://proxy.example:8080"), ("GIT_AUTHOR_NAME", "Ann Lee"),
     ("HTTPS_PROXY", "http=proxy.example:8080;https=proxy.example:8080"), ("HTTPS_PROXY", "http://[::1]:8080"),
     ("DOCS_URL", "https://host.example:8443/path"), ("MY_SECRET_FILE", "/run/secrets/one")],
)  # fmt: skip
def test_what_is_no_secret_stays_readable(name: str, value: str) -> None:
    assert masked(f"It is {value}.", {name: value}) == f"It is {value}."


@given(st.dictionaries(st.sampled_from(["HTTPS_PROXY", "MY_SECRET", "X"]), st.text() | st.just("\udcff://\udc80@:")))
def test_no_environment_is_too_odd_to_be_masked(environ: dict[str, str]) -> None:
    assert re.fullmatch(r"(.|\n)*", masked("Nothing of it. " * 2, environ))


# -- who may read a file --

OURS = frozenset({10001, 20})
MODES = st.integers(0, 0o777)


@pytest.mark.parametrize(
    ("place", "access"),
    [
        ("its owner's alone", Access(0o600, 0, OURS)),
        ("Kubernetes with fsGroup", Access(0o440, 10001, OURS)),
        ("LoadCredential", Access(0o440, 0, OURS, sealed=True)),
        ("LoadCredential of an older systemd", Access(0o400, 0, OURS)),
    ],
)
def test_files_as_they_are_mounted_for_this_process_alone_are_taken(place: str, access: Access) -> None:
    assert not access.is_open, place


@pytest.mark.parametrize(
    ("place", "access"),
    [
        ("Kubernetes without defaultMode", Access(0o644, 10001, OURS)),
        ("Docker without a mode", Access(0o444, 0, OURS)),
        ("another group's", Access(0o640, 100, OURS)),
        ("our group may write", Access(0o660, 10001, OURS)),
    ],
)
def test_files_that_others_may_read_or_change_are_open(place: str, access: Access) -> None:
    assert access.is_open, place


@given(mode=MODES, more=MODES, group=st.sampled_from([0, 20, 100, 10001]), sealed=st.booleans())
def test_less_permission_never_opens_a_file(mode: int, more: int, group: int, sealed: bool) -> None:
    if Access(mode, group, OURS, sealed).is_open:
        assert Access(mode | more, group, OURS, sealed).is_open
    if mode & 0o037 and not sealed:
        assert Access(mode, group, OURS, sealed).is_open


@pytest.mark.parametrize(
    ("path", "folder", "read_only", "words"),
    [
        ("/etc/bo/cert.pem", "/etc/bo/..2026_11_24", True, "defaultMode: 0440"),
        ("/run/secrets/bo", "/run/secrets", True, "uid=10001,mode=0400"),
        ("/run/secrets/bo", "/run/secrets", False, "uid=10001,mode=0400"),
        ("/mnt/bo", "/mnt", True, "where it is mounted from"),
        ("/srv/a b", "/srv", False, "type: chmod 600 '/srv/a b'"),
    ],
)
def test_the_remedy_is_that_of_the_place(path: str, folder: str, read_only: bool, words: str) -> None:
    remedy = remedy_at(PurePosixPath(path), PurePosixPath(folder), 10001, own=True, read_only=read_only)
    assert words in remedy
    assert ("chmod" in remedy) == (not read_only and path.startswith("/srv"))


def test_a_file_of_somebody_else_is_not_closed_to_its_reader() -> None:
    remedy = remedy_at(PurePosixPath("/srv/secret"), PurePosixPath("/srv"), 10001, own=False, read_only=False)
    assert remedy == "type as root: chown 10001 /srv/secret && chmod 600 /srv/secret"
