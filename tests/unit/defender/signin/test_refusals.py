"""The message of each refusal, its remedy, and that no secret is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import SignInError, TransientSignInError
from batch_offboard.base.text import one_line
from batch_offboard.defender.signin.refusals import (
    Asked,
    quoted,
    redirected,
    refusal,
    sent_elsewhere,
    unreadable,
)

ASKED = Asked("login.example", "TENANT", "APPLICATION", "https://api.example", "the variable MY_SECRET (credential.x)")
CANARY = "q7R~canary.Secret-1"


def entra(number: int, error: str = "invalid_client", text: str = "Some words.") -> dict[str, object]:
    """A refusal in Entra's format."""
    description = f"AADSTS{number}: {text} Trace ID: 0 Correlation ID: 1 Timestamp: 2026-11-24 06:00:00Z"
    return {"error": error, "error_description": description, "error_codes": [number], "trace_id": "0"}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (7000222, ("secret of application APPLICATION has expired", "variable MY_SECRET")),
        (7000215, ("variable MY_SECRET", "the secret's value there, not its ID")),
        (700016, ("no application APPLICATION in tenant TENANT", "client_id")),
        (7000112, ("APPLICATION is disabled",)),
        (90002, ("login.example does not know tenant TENANT", "tenant_id and cloud")),
        (900023, ("does not know tenant TENANT",)),
        (65001, ("no consent for https://api.example", "Machine.Offboard", "grant consent")),
        (700027, ("certificate", "upload its public part")),
        (1000502, ("certificate",)),
        (700213, ("federated credential", "issuer, subject and audience")),
        (70021, ("federated credential",)),
        (500011, ("TENANT does not know the API https://api.example", "audience and cloud")),
        (7000218, ("Allow public client flows",)),
        (700025, ("public client",)),
        (53003, ("Conditional Access",)),
        (50076, ("Conditional Access",)),
        (50105, ("account", "assigned to the application")),
        (70020, ("expired before anyone signed in",)),
        (65004, ("declined",)),
        (900382, ("another cloud than login.example",)),
        (900439, ("another cloud",)),
        (70043, ("has expired", "sign in")),
        (50173, ("has expired",)),
        (700082, ("has expired",)),
    ],
)
def test_a_refusal_says_what_it_is_and_what_to_do_and_keeps_its_code(number: int, words: tuple[str, ...]) -> None:
    error = refusal(entra(number), 401, ASKED)
    assert type(error) is SignInError
    assert all(word in str(error) for word in words), str(error)
    assert f"(AADSTS{number}: Some words)" in str(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("authorization_declined", "declined (authorization_declined)"),
        ("access_denied", "declined"),
        ("expired_token", "expired before anyone signed in with it (expired_token)"),
        ("code_expired", "expired before"),
    ],
)
def test_a_refusal_without_a_number_goes_by_its_word(error: str, words: str) -> None:
    assert words in str(refusal({"error": error}, 400, ASKED))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (entra(90033, "temporarily_unavailable"), 400),
        (entra(90033), None),
        ({"error": "temporarily_unavailable"}, 400),
        (entra(7000215), 429),
        (entra(7000215), 500),
        ({}, 503),
        ({"error": "server_error"}, None),
        (entra(700024), 401),  # a clock is corrected, an assertion is renewed
    ],
)
def test_what_passes_by_itself_may_be_asked_again(answer: dict[str, object], status: int | None) -> None:
    assert isinstance(refusal(answer, status, ASKED), TransientSignInError)


def test_trouble_is_named_by_its_status() -> None:
    assert "(HTTP 503)" in str(refusal({}, 503, ASKED))
    assert "login.example" in str(refusal({}, 503, ASKED))


def test_the_number_is_found_in_the_text_when_it_stands_nowhere_else() -> None:
    answer = {"error": "invalid_client", "error_description": "AADSTS7000222: The provided client secret keys expired."}
    assert "has expired (AADSTS7000222: " in str(refusal(answer, 401, ASKED))


def test_an_unknown_refusal_is_quoted_up_to_its_trace() -> None:
    message = str(refusal(entra(99999, text="The moon is\tfull."), 400, ASKED))
    assert "(AADSTS99999: The moon is full)" in message
    assert "Trace" not in message
    assert "APPLICATION of tenant TENANT" in message


def test_a_quote_shows_no_secret_however_wrong_the_answer_is() -> None:
    answer = entra(99999, text=f"You sent {CANARY}, did you?")
    assert "You sent ***, did you" in str(refusal(answer, 400, ASKED, [CANARY, ""]))
    assert CANARY not in quoted(answer, [CANARY])


def test_the_other_sentences_name_the_host_and_the_remedy() -> None:
    elsewhere = str(sent_elsewhere("https://login.microsoftonline.us", ASKED))
    assert "to https://login.microsoftonline.us, and nothing was sent there" in elsewhere
    assert "set cloud" in elsewhere
    assert "redirect to evil.example, which is never followed" in str(redirected("evil.example", ASKED))
    assert "to nowhere" in str(redirected("", ASKED))
    page = unreadable(502, "no JSON", ASKED)
    assert "login.example sent an answer that cannot be read (HTTP 502, no JSON)" in str(page)
    assert "network.proxy" in str(page)


VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers() | st.text() | st.none())


@given(
    st.dictionaries(st.sampled_from(["error", "error_description", "error_codes", "suberror"]), VALUES),
    st.none() | st.integers(100, 599),
)
def test_any_refusal_is_one_visible_sentence(answer: dict[str, object], status: int | None) -> None:
    message = str(refusal(answer, status, ASKED))
    assert one_line(message) == message
    assert message.endswith(".")
    assert len(message) < 1000
