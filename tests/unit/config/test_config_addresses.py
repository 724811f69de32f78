"""The addresses that a token or a password may go to."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ConfigError
from batch_offboard.config import CLOUDS, Cloud, Config, DeviceCode, Endpoints, SecretName, SecretPlace, load_config

TENANT = "1f0e7c1a-5b7e-4c53-9a55-0d6f3f4a2b10"
CANARY = "q7R~canary.Secret-1"


def load(**keys: str) -> Config:
    """A configuration from variables alone: `network__proxy="environment"`, with a sign-in already there."""
    given = {"tenant_id": TENANT, "client_id": TENANT, "credential__type": "device_code"} | keys
    return load_config(None, {f"BATCH_OFFBOARD_{key.upper()}": value for key, value in given.items()}, Path("/none"))


def refusal(**keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**keys)
    return str(caught.value)


@pytest.mark.parametrize("cloud", list(Cloud))
def test_the_cloud_sets_every_address(cloud: Cloud) -> None:
    assert load(cloud=cloud.value).endpoints == CLOUDS[cloud]


def test_commercial_calls_one_host_with_the_audience_of_another() -> None:
    assert load().endpoints == Endpoints(
        sign_in="https://login.microsoftonline.com",
        api_url="https://api.security.microsoft.com",
        audience="https://api.securitycenter.microsoft.com",
    )
    assert load().endpoints.scope == "https://api.securitycenter.microsoft.com/.default"


@pytest.mark.parametrize(
    ("cloud", "sign_in", "host"),
    [
        ("gcc", "https://login.microsoftonline.com", "https://api-gcc.securitycenter.microsoft.us"),
        ("gcc_high", "https://login.microsoftonline.us", "https://api-gov.securitycenter.microsoft.us"),
        ("dod", "https://login.microsoftonline.us", "https://api-gov.securitycenter.microsoft.us"),
    ],
)
def test_a_government_cloud_is_its_own_audience(cloud: str, sign_in: str, host: str) -> None:
    assert load(cloud=cloud).endpoints == Endpoints(sign_in, host, host)


def test_api_url_and_audience_override_the_cloud_one_by_one() -> None:
    moved = load(api_url="https://eu.api.security.microsoft.com").endpoints
    assert moved == dataclasses.replace(CLOUDS[Cloud.COMMERCIAL], api_url="https://eu.api.security.microsoft.com")
    named = load(audience="https://securitycenter.onmicrosoft.com/windowsatpservice/.default").endpoints
    assert named.api_url == CLOUDS[Cloud.COMMERCIAL].api_url
    assert named.scope == "https://securitycenter.onmicrosoft.com/windowsatpservice/.default"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://eu.api.security.microsoft.com/", "https://eu.api.security.microsoft.com"),
        ("HTTPS://EU.API.security.microsoft.com", "https://eu.api.security.microsoft.com"),
        ("https://gateway.example:8443//", "https://gateway.example:8443"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:9", "http://[::1]:9"),
        ("http://localhost:1", "http://localhost:1"),
    ],
)
def test_an_api_url_is_kept_without_its_last_slash(given: str, kept: str) -> None:
    assert load(api_url=given).api_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://api.security.microsoft.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0",
        "http://[::]:80",
        "http://[fe80::1%lo]",
        "http://2130706433",
        "ftp://api.security.microsoft.com",
        "api.security.microsoft.com",
        "//api.security.microsoft.com",
        "https://",
        "https:///path",
        "https://api.security.microsoft.com/api",
        "https://api.security.microsoft.com/api/",
        "https://api.security.microsoft.com//api",
        "https://gateway.example:8443/Defender",
        "http://127.0.0.1:8080/api/machines",
        "https://user@api.security.microsoft.com",
        f"https://user:{CANARY}@api.security.microsoft.com",
        "https://api.security.microsoft.com?x=1",
        "https://api.security.microsoft.com?",
        "https://api.security.microsoft.com#x",
        "https://api.security.microsoft.com:0",
        "https://api.security.microsoft.com:70000",
        "https://api.security.microsoft.com:x",
        "https://[::1",
        "https://[v1.a]",
        "https://[api.example]",
        "https://a b",
        "https://a\\b",
        "https://-.example",
        "https://bücher.example",
        "7",
        "''",
    ],
)
def test_an_api_url_that_could_leak_a_token_is_refused(url: str) -> None:
    message = refusal(api_url=url)
    assert message.startswith("the variable BATCH_OFFBOARD_API_URL: 'api_url' must be an https URL")
    assert CANARY not in message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://login.microsoftonline.us", "https://login.microsoftonline.us"),
        ("HTTPS://LOGIN.example:8443/", "https://login.example:8443"),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("https://[::1]:9", "https://[::1]:9"),
    ],
)
def test_a_sign_in_url_is_a_bare_host_and_leaves_the_rest_of_the_cloud_alone(given: str, kept: str) -> None:
    moved = load(sign_in_url=given).endpoints
    assert moved == dataclasses.replace(CLOUDS[Cloud.COMMERCIAL], sign_in=kept)


@pytest.mark.parametrize(
    "url",
    [
        "http://login.microsoftonline.com",
        "http://127.0.0.1:8080",
        "http://localhost",
        "login.microsoftonline.com",
        "https://login.microsoftonline.com/common",
        f"https://user:{CANARY}@login.microsoftonline.com",
        "https://login.microsoftonline.com?x=1",
        "https://login.microsoftonline.com#x",
        "https://",
        "ftp://login.microsoftonline.com",
        "7",
        "''",
    ],
)
def test_a_sign_in_url_that_could_leak_a_secret_is_refused(url: str) -> None:
    message = refusal(sign_in_url=url)
    assert message.startswith("the variable BATCH_OFFBOARD_SIGN_IN_URL: 'sign_in_url' must be an https URL")
    assert CANARY not in message


HOSTS = st.sampled_from(["eu.api.security.microsoft.com", "127.0.0.1", "[::1]", "gateway.example"])
SEGMENTS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1)


@given(
    key=st.sampled_from(["api_url", "sign_in_url", "network__proxy"]),
    host=HOSTS,
    port=st.sampled_from(["", ":443", ":8080"]),
    slashes=st.text("/", max_size=2),
    more=st.text("/", min_size=1, max_size=2),
    segment=SEGMENTS,
)
def test_every_url_of_the_configuration_is_a_host_and_nothing_else(
    key: str, host: str, port: str, slashes: str, more: str, segment: str
) -> None:
    """What follows the host would stand in each call's address, or be dropped in silence."""
    config = load(**{key: f"https://{host}{port}{slashes}"})
    assert f"https://{host}{port}" in {config.api_url, config.sign_in_url, config.network.proxy}
    assert " must be " in refusal(**{key: f"https://{host}{port}{more}{segment}"})


@pytest.mark.parametrize("kept", ["memory", "encrypted"])
def test_a_sign_in_is_kept_in_memory_or_encrypted(kept: str) -> None:
    credential = load(credential__token_cache=kept).credential
    assert isinstance(credential, DeviceCode)
    assert credential.token_cache == kept


def test_a_sign_in_is_kept_in_memory_unless_something_else_is_said() -> None:
    assert load().credential == DeviceCode(type="device_code", token_cache="memory")
    assert "'credential.token_cache' must be memory or encrypted" in refusal(credential__token_cache="plain")


@pytest.mark.parametrize("audience", ["''", "/.default", "/", "two words", "7"])
def test_an_audience_must_name_something(audience: str) -> None:
    assert "'audience' must be what the token is asked for" in refusal(audience=audience)


def test_a_proxy_is_a_url_or_the_environment() -> None:
    assert load(network__proxy="environment").network.proxy == "environment"
    assert load(network__proxy="http://Proxy.example:8080/").network.proxy == "http://proxy.example:8080"
    for wrong in ("proxy.example:8080", "socks5://proxy.example", "http://proxy.example/path", "true"):
        assert "'network.proxy' must be 'environment' or a URL" in refusal(network__proxy=wrong)


def test_a_proxy_password_stands_elsewhere() -> None:
    user = {"network__proxy": "http://proxy.example:8080", "network__proxy_user": "bo"}
    network = load(**user, network__proxy_password_env="PROXY_PW").network
    assert network.proxy_password == SecretName(SecretPlace.VARIABLE, "PROXY_PW", "network.proxy_password_env")
    assert load(**user).network.proxy_password is None
    message = refusal(network__proxy=f"http://bo:{CANARY}@proxy.example:8080")
    assert "proxy_user" in message
    assert CANARY not in message
    assert "needs a proxy_user" in refusal(network__proxy="http://p:1", network__proxy_password_env="PROXY_PW")
    assert "needs the URL of its proxy" in refusal(network__proxy="environment", network__proxy_user="bo")
