"""Secrets: what shows of them, and where they are read from."""

import copy
import dataclasses
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_offboard.config import AccessToken, Certificate, ClientSecret, Secret, SecretName, SecretPlace, read_secret
from batch_offboard.desk import Options
from batch_offboard.errors import ConfigError

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
    assert CANARY not in repr(Options({"BATCH_OFFBOARD_TOKEN": CANARY}, Path.cwd()))


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
