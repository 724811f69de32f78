"""What the configuration takes and refuses, without a file: everything comes from variables or text."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from batch_offboard.base.errors import ConfigError
from batch_offboard.config import (
    ClientSecret,
    Cloud,
    Config,
    Guards,
    Network,
    Quota,
    load_config,
)
from batch_offboard.config.source import settings_in_text
from batch_offboard.config.tree import KEYS, expected

TENANT = "1f0e7c1a-5b7e-4c53-9a55-0d6f3f4a2b10"
CLIENT = "9d2b6c3e-0a41-4f0b-8a77-3c1d5e7f9a02"
CANARY = "q7R~canary.Secret-1"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJyb2xlcyI6W119.c2ln"
NOWHERE = Path("/no-such-folder")

SIGN_IN = {
    "BATCH_OFFBOARD_TENANT_ID": TENANT,
    "BATCH_OFFBOARD_CLIENT_ID": CLIENT,
    "BATCH_OFFBOARD_CREDENTIAL__TYPE": "client_secret",
    "BATCH_OFFBOARD_CREDENTIAL__SECRET_ENV": "MY_SECRET",
}


def load(**keys: str) -> Config:
    """A configuration from variables alone: `quota__burst="5"`, with a sign-in already there."""
    return load_config(None, SIGN_IN | variables(**keys), NOWHERE)


def load_only(**keys: str) -> Config:
    return load_config(None, variables(**keys), NOWHERE)


def variables(**keys: str) -> dict[str, str]:
    return {f"BATCH_OFFBOARD_{key.upper()}": value for key, value in keys.items()}


def refusal(call: Callable[..., object], **keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        call(**keys)
    return str(caught.value)


# -- the tree --


def test_a_sign_in_is_all_that_has_to_be_given() -> None:
    assert load() == Config(
        tenant_id=TENANT,
        client_id=CLIENT,
        credential=ClientSecret(type="client_secret", secret_env="MY_SECRET"),
        cloud=Cloud.COMMERCIAL,
        sign_in_url=None,
        api_url=None,
        audience=None,
        comment=None,
        quota=Quota(per_minute=100, per_hour=1500, burst=1, share=1.0),
        workers=8,
        journal=None,
        guards=Guards(max_devices=500, max_fleet_percent=20, protected=None, abort_failure_percent=10),
        network=Network(proxy=None, proxy_user=None, proxy_password_env=None, ca_file=None, timeout=90),
    )


def test_a_configuration_cannot_be_changed() -> None:
    config = load()
    with pytest.raises(ValidationError):
        config.workers = 9
    with pytest.raises(ValidationError):
        config.quota.burst = 9


@pytest.mark.parametrize("key", [(name,) for name in KEYS] + [(s, k) for s in KEYS for k in KEYS[s]])
def test_every_key_has_words_for_what_it_takes(key: tuple[str, ...]) -> None:
    assert expected(key)


@pytest.mark.parametrize(
    ("key", "taken", "refused"),
    [
        ("workers", ["1", "64"], ["0", "65", "-1", "8.0", "1e1", "'8'", "true", "null", "eight", "9" * 5000]),
        (
            "quota__per_minute",
            ["1", "100", "10000", "0100"],
            ["0", "10001", "100.5", "false", "0x10", "1_000"],
        ),
        ("quota__per_hour", ["1", "1500", "10000"], ["0", "10001", "inf"]),
        ("quota__burst", ["1", "100"], ["0", "101"]),
        ("quota__share", ["1", "1.0", "0.01", ".5"], ["0", "1.01", "-1", ".nan", ".inf", "1e999", "0.001"]),
        ("guards__max_devices", ["1", "1000000"], ["0", "null", "2.5"]),
        ("guards__approvals", ["0", "1", "20"], ["-1", "21", "1.5", "null", "true"]),
        ("guards__max_fleet_percent", ["0.1", "20", "100"], ["0", "100.1", "20%", "true"]),
        ("guards__abort_failure_percent", ["0.1", "100"], ["0", "100.1", "null"]),
        ("network__timeout", ["1", "2.5", "3600"], ["0", "3601", "90s"]),
        ("cloud", ["commercial", "gcc", "gcc_high", "dod"], ["Commercial", "gov", "1", "null", ""]),
        ("comment", ["Gone", "null", "", "x" * 400, "'42'", "no"], ["x" * 401, "42", "true", "' '", "''"]),
        ("tenant_id", [TENANT, TENANT.upper()], ["contoso.com", TENANT[:-1], f"{{{TENANT}}}", "7"]),
        ("client_id", [CLIENT], [CLIENT + "0", "00000000-0000-0000-0000-000000000000"]),
        ("journal", ["j.sqlite", "/var/j", "null"], ["7", "''", "' '", "postgresql://db/journal"]),
        ("network__ca_file", ["ca.pem"], ["true"]),
        ("log__file", ["bo.log", "/dev/stderr", "null"], ["7", "''"]),
        ("log__format", ["text", "json"], ["xml", "JSON", "null"]),
        ("log__level", ["debug", "info", "warning", "error"], ["INFO", "off", "3"]),
        ("log__max_megabytes", ["0.01", "10", "10000"], ["0", "10001", ".inf", "10MB"]),
        ("log__keep", ["1", "1000"], ["0", "1001", "5.0"]),
        ("credential__secret_env", ["A", "_b2"], ["7", "2b", "A B", CANARY]),
        ("network__proxy_password_env", [], ["X"]),
        ("network__proxy_user", [], ["u"]),
    ],
)
def test_each_key_takes_its_own_values_only(key: str, taken: list[str], refused: list[str]) -> None:
    for value in taken:
        load(**{key: value})
    for value in refused:
        assert f"the variable BATCH_OFFBOARD_{key.upper()}" in refusal(load, **{key: value}), value


def test_a_share_that_leaves_no_call_is_refused() -> None:
    assert "'quota.share' leaves less than one call" in refusal(load, quota__share="0.009")
    assert load(quota__share="0.01").quota.share == 0.01


def test_ids_are_kept_in_lower_case() -> None:
    assert load(tenant_id=TENANT.upper()).tenant_id == TENANT


# -- sentences --


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("workers", "'8'", "'workers' must be a whole number from 1 to 64, not text."),
        ("workers", "true", "'workers' must be a whole number from 1 to 64, not true or false."),
        ("workers", "65", "'workers' must be a whole number from 1 to 64."),
        (
            "comment",
            "42",
            "'comment' must be one line of text, at most 400 characters long, not a whole number.",
        ),
        ("journal", "7", "'journal' must be the path of a file, not a whole number."),
        ("journal", "postgresql://db/j", "'journal' must be the path of a file."),
        ("quota__burst", "101", "'quota.burst' must be at most per_minute, which is 100."),
        ("quota__per_minut", "5", "'quota.per_minut' is not a key; did you mean 'quota.per_minute'?"),
        ("network__type", "5", "'network.type' is not a key; did you mean 'credential.type'?"),
        ("quota__zebra", "5", "'quota.zebra' is not a key; config.example.yaml shows all keys."),
        ("workers__workers", "5", "'workers.workers' is not a key; did you mean 'workers'?"),
        (
            "quota",
            "100",
            "'quota' must hold keys of its own, such as quota.burst; leave the section out for its defaults.",
        ),
        (
            "credential__token_env",
            "T",
            ("'credential.token_env' does not go with this type of credential; config.example.yaml shows what does."),
        ),
        (
            "credential__secret_file",
            "s",
            (
                "'credential.secret_file' is set in addition to another place; "
                "keep one of secret_env or secret_file or secret_keyring."
            ),
        ),
    ],
)
def test_a_refusal_names_place_key_and_what_is_expected(key: str, value: str, sentence: str) -> None:
    assert refusal(load, **{key: value}) == f"the variable BATCH_OFFBOARD_{key.upper()}: {sentence}"


def test_the_types_of_credential_are_listed() -> None:
    assert refusal(load, credential__type="secret") == (
        "the variable BATCH_OFFBOARD_CREDENTIAL__TYPE: 'credential.type' must be one of client_secret, "
        "certificate, managed_identity, federated, device_code, access_token."
    )


def test_a_missing_value_is_named() -> None:
    assert refusal(load_only, workers="8") == (
        "the environment: 'credential' is missing; it must be a section with keys of its own "
        "(assertion_file, certificate_file, password_env, password_file, secret_env, secret_file, "
        "secret_keyring, token_cache, token_env, token_file, type)."
    )
    assert refusal(load_only, credential__secret_env="X").startswith(
        "the environment: 'credential.type' is missing; it must be one of client_secret, "
    )


@pytest.mark.parametrize("missing", ["tenant_id", "client_id"])
@pytest.mark.parametrize(
    "credential",
    [
        {"type": "client_secret", "secret_env": "X"},
        {"type": "certificate", "certificate_file": "c.pem"},
        {"type": "federated", "assertion_file": "a"},
        {"type": "device_code"},
    ],
)
def test_most_ways_to_sign_in_need_both_ids(credential: dict[str, str], missing: str) -> None:
    keys = {f"credential__{key}": value for key, value in credential.items()}
    ids = {"tenant_id": TENANT, "client_id": CLIENT}
    load_only(**keys, **ids)
    del ids[missing]
    assert f"'{missing}' is missing; the credential type {credential['type']} needs it" in refusal(
        load_only, **keys, **ids
    )


@pytest.mark.parametrize("keys", [{"type": "managed_identity"}, {"type": "access_token", "token_env": "T"}])
def test_a_token_and_a_managed_identity_need_no_ids(keys: dict[str, str]) -> None:
    config = load_only(**{f"credential__{key}": value for key, value in keys.items()})
    assert (config.tenant_id, config.client_id) == (None, None)


def test_the_zero_id_of_the_example_is_taken_with_a_token_only() -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    token = {"credential__type": "access_token", "credential__token_env": "T"}
    assert load_only(tenant_id=zero, **token).tenant_id == zero
    assert "is still the example's zero ID" in refusal(load, tenant_id=zero)
    assert "is still the example's zero ID" in refusal(load_only, client_id=zero, credential__type="managed_identity")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"type": "client_secret"}, "'credential.secret_env' is missing"),
        ({"type": "client_secret", "secret_env": "null"}, "'credential.secret_env' is missing"),
        ({"type": "client_secret", "secret_env": "A", "secret_keyring": "a/b"}, "in addition to another place"),
        ({"type": "client_secret", "secret_keyring": "only-a-service"}, "as service/user"),
        ({"type": "access_token"}, "'credential.token_env' is missing"),
        ({"type": "access_token", "token_env": "A", "token_file": "b"}, "in addition to another place"),
        ({"type": "certificate"}, "'credential.certificate_file' is missing"),
        (
            {"type": "certificate", "certificate_file": "c", "password_env": "A", "password_file": "b"},
            "'credential.password_file' cannot be set together with password_env",
        ),
        ({"type": "federated"}, "'credential.assertion_file' is missing"),
        ({"type": "managed_identity", "token_env": "A"}, "does not go with this type"),
    ],
)
def test_a_credential_names_exactly_what_its_type_needs(keys: dict[str, str], problem: str) -> None:
    given = {f"credential__{key}": value for key, value in keys.items()}
    assert problem in refusal(load_only, tenant_id=TENANT, client_id=CLIENT, **given)


# -- variables --


def test_a_variable_is_a_yaml_scalar_in_which_colon_and_hash_are_text() -> None:
    assert load(comment="Gone: CHG #42").comment == "Gone: CHG #42"
    assert load(comment=" Gone ").comment == "Gone"
    assert load(comment='"42"').comment == "42"
    assert load(comment="'it''s gone'").comment == "it's gone"
    assert load(comment="null").comment is None
    assert load(comment="[a, b]").comment == "[a, b]"
    assert "quotes in its value do not match" in refusal(load, comment='"Gone')


@pytest.mark.parametrize(
    "name",
    [
        "BATCH_OFFBOARD_SECRET",
        "BATCH_OFFBOARD_CONFIG_OLD",
        "BATCH_OFFBOARD_",
        "batch_offboard_workers",
        "WORKERS",
    ],
)
def test_a_variable_that_begins_with_no_key_is_ignored(name: str) -> None:
    assert load_config(None, SIGN_IN | {name: CANARY}, NOWHERE) == load()


@pytest.mark.parametrize("value", ["two\nlines", "bell\a", "\ud800", "\u2028"])
def test_control_characters_are_in_no_value(value: str) -> None:
    message = refusal(load, comment=f"Gone {value} x")
    assert message.endswith("'comment' must be one line without control characters.")
    assert message.isprintable()


# -- secrets in the wrong place --


@pytest.mark.parametrize("key", ["credential__secret", "credential__password", "network__proxy_password"])
def test_a_secret_as_a_key_is_refused_without_showing_it(key: str) -> None:
    message = refusal(load, **{key: CANARY})
    assert "a secret is never written into the configuration" in message
    assert CANARY not in message


@pytest.mark.parametrize("key", ["comment", "credential__secret_env", "credential__secret_file", "workers"])
@pytest.mark.parametrize("value", [JWT, f"Bearer {JWT}", "-----BEGIN RSA PRIVATE KEY-----\nMIIE"])
def test_a_value_that_looks_like_a_secret_is_refused_without_showing_it(key: str, value: str) -> None:
    message = refusal(load, **{key: value})
    assert "looks like a secret itself" in message
    assert value not in message
    assert "eyJ" not in message


# -- whatever else people may write --

YAMLISH = st.text(alphabet="abk:-_ \n\t'\"[]{}#&*!|>%@,?0129.~\\U\x85\ud800é", max_size=60)


def complaint(call: Callable[[], object]) -> str | None:
    """What is wrong, or None; any other exception is a finding."""
    try:
        call()
    except ConfigError as error:
        return str(error)
    return None


@given(YAMLISH)
def test_any_text_is_settings_or_one_sentence_with_its_line(text: str) -> None:
    message = complaint(lambda: settings_in_text(text, Path("config.yaml"), KEYS))
    assert message is None or re.fullmatch(r"config\.yaml(, line \d+)?: .+[.?]", message)
    assert message is None or message.isprintable()


@given(
    st.sampled_from(sorted(KEYS)),
    st.sampled_from(["", "__X", "__TYPE", "__BURST", "____"]),
    st.text(max_size=30),
)
def test_any_variable_is_a_setting_or_one_sentence_with_its_name(key: str, rest: str, value: str) -> None:
    message = complaint(lambda: load(**{key + rest: value}))
    assert message is None or f"BATCH_OFFBOARD_{key.upper()}{rest}" in message
    assert message is None or message.isprintable()
