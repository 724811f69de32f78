"""The section `notices`: what it takes, what it refuses, and that it holds no secret."""

from pathlib import Path

import pytest

from batch_offboard.base.errors import ConfigError
from batch_offboard.config import Notices, SecretName, SecretPlace, load_config
from batch_offboard.config.notices import HAPPENINGS

NOWHERE = Path("/no-such-folder")
SIGN_IN = {"BATCH_OFFBOARD_CREDENTIAL__TYPE": "access_token", "BATCH_OFFBOARD_CREDENTIAL__TOKEN_ENV": "TOKEN"}
MAIL = {"mail_to": "a@example.com", "mail_from": "b@example.com", "mail_server": "smtp.example.com"}


def load(**keys: str) -> Notices:
    variables = {f"BATCH_OFFBOARD_NOTICES__{key.upper()}": value for key, value in keys.items()}
    return load_config(None, SIGN_IN | variables, NOWHERE).notices


def refusal(**keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**keys)
    return str(caught.value)


def test_without_the_section_nobody_is_told_and_everything_would_be() -> None:
    notices = load()
    assert (notices.webhook_url, notices.mail_to, notices.textfile) == (None, None, None)
    assert not notices.has_ways
    assert notices.happenings == set(HAPPENINGS)


@pytest.mark.parametrize(
    ("text", "happenings"),
    [
        ("stopped", {"stopped"}),
        ("missed_night , finished", {"missed_night", "finished"}),
        ("stopped,stopped", {"stopped"}),
    ],
)
def test_what_is_told_of_is_a_list_of_words(text: str, happenings: set[str]) -> None:
    assert load(on=text).happenings == happenings


@pytest.mark.parametrize("text", ["", "started", "finished;stopped", "finished,", "Finished"])
def test_another_word_is_refused_with_those_that_there_are(text: str) -> None:
    assert "'notices.on' must be one or more of finished, stopped and missed_night" in refusal(on=text)


def test_secrets_are_named_by_variable_or_file() -> None:
    notices = load(webhook_url_env="HOOK", mail_user="u", mail_password_file="/run/pw", **MAIL)
    assert notices.webhook_url == SecretName(SecretPlace.VARIABLE, "HOOK", "notices.webhook_url_env")
    password = notices.mail_password
    assert password is not None
    assert (password.place, password.key) == (SecretPlace.FILE, "notices.mail_password_file")


@pytest.mark.parametrize("key", ["webhook_url", "mail_password"])
def test_one_place_of_a_secret_is_enough(key: str) -> None:
    said = refusal(**{f"{key}_env": "A", f"{key}_file": "/b"}, **MAIL, mail_user="u")
    assert f"'notices.{key}_file' cannot be set together with {key}_env" in said


@pytest.mark.parametrize("missing", sorted(MAIL))
def test_mail_needs_whom_from_whom_and_through_which_server(missing: str) -> None:
    said = refusal(**{key: value for key, value in MAIL.items() if key != missing})
    assert f"'notices.{missing}' is missing" in said


def test_a_user_and_a_password_belong_together() -> None:
    assert "'notices.mail_password_env' is missing" in refusal(**MAIL, mail_user="u")
    assert "'notices.mail_user' is missing" in refusal(**MAIL, mail_password_env="P")


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("smtp.example.com", "smtp.example.com:587"),
        ("smtp.example.com:465", "smtp.example.com:465"),
        ("[2001:db8::1]:25", "[2001:db8::1]:25"),
        ("127.0.0.1:2525", "127.0.0.1:2525"),
    ],
)
def test_a_mail_server_is_a_host_and_perhaps_a_port(text: str, server: str) -> None:
    assert load(**(MAIL | {"mail_server": text})).mail_server == server


@pytest.mark.parametrize("text", ["smtp://x:25", "a b:25", "x:port", "x:0", "x:99999", "x/y", "user@x:25"])
def test_what_is_no_mail_server_is_refused(text: str) -> None:
    assert "'notices.mail_server' must be a mail server such as" in refusal(**(MAIL | {"mail_server": text}))


@pytest.mark.parametrize("text", ["nobody", "a@b@c", "a b@c", "a@b, ", "A <a@b>", "a@b;c@d", "@b", "a@"])
def test_what_is_no_mail_address_is_refused(text: str) -> None:
    assert "'notices.mail_to' must be mail addresses" in refusal(**(MAIL | {"mail_to": text}))


def test_several_people_can_be_mailed() -> None:
    assert load(**(MAIL | {"mail_to": "a@example.com,b@example.com , c@example.com"})).mail_to is not None


def test_a_textfile_has_the_suffix_that_the_collector_reads() -> None:
    assert "'notices.textfile' must end with .prom" in refusal(textfile="/metrics/bo.txt")
    assert load(textfile="/metrics/bo.prom").has_ways


@pytest.mark.parametrize("kind", ["Teams", "discord", ""])
def test_a_webhook_is_of_a_kind_that_we_speak(kind: str) -> None:
    assert "'notices.webhook_kind' must be json, teams or slack" in refusal(webhook_kind=kind)


def test_a_webhooks_url_written_into_the_configuration_is_refused_unseen(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("notices:\n  webhook_url: https://hooks.example/canary\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml, line 2: 'notices\.webhook_url' is not a key") as caught:
        load_config(path, SIGN_IN, tmp_path)
    assert "canary" not in str(caught.value)
    assert "webhook_url_env" in str(caught.value)
