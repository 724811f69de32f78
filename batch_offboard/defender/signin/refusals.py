"""What the sign-in service's refusals mean, each in one sentence with the remedy. Pure.

The sentence is chosen by the AADSTS number, or by OAuth's error code if there is none. Both are meant for people:
whether a retry may help is decided by the HTTP status where there is one, since the numbers may change.
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from batch_offboard.base.errors import SignInError, TransientSignInError
from batch_offboard.base.text import one_line

LONGEST_QUOTE = 300  # characters of the service's own words


@dataclass(frozen=True, slots=True)
class Asked:
    """The parts of a token request that messages name. None of them is secret.

    `place` says where the credential is, such as "the variable MY_SECRET (credential.secret_env)"; `remedy` says what
    to check if no usable answer arrives.
    """

    host: str
    tenant: str
    application: str
    audience: str
    place: str
    remedy: str = "check the network, network.proxy, cloud and sign_in_url"


# {code} is the AADSTS number or OAuth's error code, and the service's own message; the others are fields of `Asked`.
_EXPIRED = (
    "The secret of application {application} has expired ({code}); create a new one under Certificates & secrets of "
    "its app registration and put it into {place}."
)
_WRONG_VALUE = (
    "The secret in {place} does not belong to application {application} ({code}); put the secret's value there, not "
    "its ID, or create a new one."
)
_NO_APPLICATION = (
    "There is no application {application} in tenant {tenant} ({code}); check client_id, tenant_id and cloud."
)
_DISABLED = (
    "Application {application} is disabled in tenant {tenant} ({code}); let an administrator enable it under "
    "Enterprise applications."
)
_NO_TENANT = "{host} does not know tenant {tenant} ({code}); check tenant_id and cloud."
_NO_CONSENT = (
    "Application {application} has no consent for {audience} ({code}); add the permission Machine.Offboard of "
    "WindowsDefenderATP under API permissions, and let an administrator grant consent."
)
_CERTIFICATE = (
    "The certificate in {place} is not accepted for application {application} ({code}); upload its public part under "
    "Certificates & secrets, or name the right file."
)
_OUT_OF_TIME = (
    "What was signed with {place} is not valid at this time ({code}); correct this computer's clock, or let your "
    "identity provider renew the file."
)
_NO_FEDERATION = (
    "No federated credential of application {application} fits the assertion in {place} ({code}); its issuer, subject "
    "and audience must be exactly those under Certificates & secrets."
)
_NO_AUDIENCE = (
    "Tenant {tenant} does not know the API {audience} ({code}); check audience and cloud, and that the tenant has "
    "Defender for Endpoint."
)
_NOT_PUBLIC = (
    "Application {application} does not allow signing in with a code ({code}); set 'Allow public client flows' to Yes "
    "under Authentication of its app registration."
)
_PUBLIC = (
    "Application {application} is a public client and takes no secret or certificate ({code}); use device_code, or a "
    "registration of its own for this program."
)
_POLICY = (
    "A policy of tenant {tenant} does not allow this sign-in ({code}); ask its administrator which Conditional Access "
    "policy it is, or sign in from a place, on a device and in a way that it allows."
)
_NO_USER = (
    "This account may not sign in to application {application} in tenant {tenant} ({code}); use an account of the "
    "tenant that is assigned to the application."
)
_CODE_ENDED = "The code expired before anyone signed in with it ({code}); start again."
_DECLINED = "The sign-in was declined ({code}); start again, and accept what the application asks for."
_WRONG_CLOUD = "Tenant {tenant} is in another cloud than {host} ({code}); correct cloud."
_ENDED = "The stored sign-in has expired ({code}); start again and sign in."

_SENTENCES: Mapping[str, str] = {
    "7000222": _EXPIRED,
    "7000215": _WRONG_VALUE,
    "70002": _WRONG_VALUE,
    "700016": _NO_APPLICATION,
    "700011": _NO_APPLICATION,
    "7000112": _DISABLED,
    "70001": _DISABLED,
    "90002": _NO_TENANT,
    "900023": _NO_TENANT,
    "50059": _NO_TENANT,
    "50128": _NO_TENANT,
    "65001": _NO_CONSENT,
    "650056": _NO_CONSENT,
    "650057": _NO_CONSENT,
    "90094": _NO_CONSENT,
    "90095": _NO_CONSENT,
    "700027": _CERTIFICATE,
    "700030": _CERTIFICATE,
    "50012": _CERTIFICATE,
    "1000502": _CERTIFICATE,
    "7000214": _CERTIFICATE,
    "7000277": _CERTIFICATE,
    "700024": _OUT_OF_TIME,
    "500133": _OUT_OF_TIME,
    "70021": _NO_FEDERATION,
    "700211": _NO_FEDERATION,
    "700212": _NO_FEDERATION,
    "700213": _NO_FEDERATION,
    "7002131": _NO_FEDERATION,
    "500011": _NO_AUDIENCE,
    "50001": _NO_AUDIENCE,
    "650052": _NO_AUDIENCE,
    "70011": _NO_AUDIENCE,
    "1002012": _NO_AUDIENCE,
    "7000218": _NOT_PUBLIC,
    "700025": _PUBLIC,
    "50005": _POLICY,
    "50072": _POLICY,
    "50074": _POLICY,
    "50076": _POLICY,
    "50079": _POLICY,
    "50097": _POLICY,
    "50131": _POLICY,
    "50158": _POLICY,
    "53000": _POLICY,
    "53001": _POLICY,
    "53002": _POLICY,
    "53003": _POLICY,
    "53004": _POLICY,
    "53011": _POLICY,
    "530034": _POLICY,
    "530035": _POLICY,
    "50020": _NO_USER,
    "50034": _NO_USER,
    "50057": _NO_USER,
    "50105": _NO_USER,
    "70018": _CODE_ENDED,
    "70019": _CODE_ENDED,
    "70020": _CODE_ENDED,
    "expired_token": _CODE_ENDED,
    "code_expired": _CODE_ENDED,
    "bad_verification_code": _CODE_ENDED,
    "65004": _DECLINED,
    "authorization_declined": _DECLINED,
    "access_denied": _DECLINED,
    "900382": _WRONG_CLOUD,
    "900439": _WRONG_CLOUD,
    "900432": _WRONG_CLOUD,
    "50078": _ENDED,
    "50089": _ENDED,
    "50132": _ENDED,
    "50133": _ENDED,
    "50173": _ENDED,
    "70000": _ENDED,
    "70008": _ENDED,
    "70043": _ENDED,
    "700081": _ENDED,
    "700082": _ENDED,
    "700084": _ENDED,
}

# Transient: faults of the service, and a clock or an assertion that is corrected elsewhere.
_PASSING = frozenset(
    {"50000", "50033", "50087", "50196", "90024", "90033", "90036", "90055", "temporarily_unavailable", "server_error"}
)
_PASSING_SENTENCES = frozenset({_OUT_OF_TIME})


def refusal(answer: Mapping[str, object], status: int | None, asked: Asked, hidden: Iterable[str] = ()) -> SignInError:
    """The error for an answer (the service's JSON) without a token, with the service's own message in it.

    `hidden` are the secrets that were sent: they are masked if the answer repeats them.
    """
    key, code = _code(answer)
    said = quoted(answer, hidden)
    if key in _PASSING or (status is not None and (status == 429 or status >= 500)):
        shown = f"HTTP {status}" if status is not None and status >= 400 else code
        return TransientSignInError(
            f"{asked.host} is unavailable or overloaded ({_with(said, shown)}); try again later."
        )
    sentence = _SENTENCES.get(key)
    if sentence is None:
        return SignInError(
            f"{asked.host} does not sign in application {asked.application} of tenant {asked.tenant} "
            f"({_with(said, code)}); look the code up in Microsoft's list of error codes."
        )
    text = sentence.format(
        code=_with(said, code),
        host=asked.host,
        tenant=asked.tenant,
        application=asked.application,
        audience=asked.audience,
        place=asked.place,
    )
    return TransientSignInError(text) if sentence in _PASSING_SENTENCES else SignInError(text)


def unreadable(status: int | None, detail: str, asked: Asked) -> TransientSignInError:
    """For an answer that does not come from the sign-in service, such as the page of a portal or a gateway."""
    said = detail if status is None else f"HTTP {status}, {detail}"
    return TransientSignInError(
        f"{asked.host} sent an answer that cannot be read ({said}); {asked.remedy}, or try again later."
    )


def sent_elsewhere(place: str, asked: Asked) -> SignInError:
    """For a tenant whose metadata name another sign-in host: the credential is sent to the configured cloud's only."""
    return SignInError(
        f"{asked.host} sends the sign-in of tenant {asked.tenant} to {one_line(place)}, and nothing was sent there; "
        "set cloud, or sign_in_url, to what the tenant belongs to."
    )


def redirected(place: str, asked: Asked) -> TransientSignInError:
    return TransientSignInError(
        f"{asked.host} answers with a redirect to {one_line(place) or 'nowhere'}, which is never followed; "
        f"{asked.remedy}."
    )


def _code(answer: Mapping[str, object]) -> tuple[str, str]:
    """The key of a refusal in `_SENTENCES`, and the code to show."""
    numbers = answer.get("error_codes")
    first = numbers[0] if isinstance(numbers, list) and numbers else None
    found = re.search(r"AADSTS(\d{2,9})", str(answer.get("error_description") or ""))
    if isinstance(first, int) and not isinstance(first, bool):
        return str(first), f"AADSTS{first}"
    if found:
        return found[1], found[0]
    word = one_line(str(answer.get("error") or "no error code"))[:60]
    return word, word


def _with(said: str, code: str) -> str:
    return f"{code}: {said}" if said else code


def quoted(answer: Mapping[str, object], hidden: Iterable[str] = ()) -> str:
    """The start of the service's own message, on one line and without secrets."""
    text = str(answer.get("error_description") or "").strip()
    for secret in hidden:
        if secret:
            text = text.replace(secret, "***")
    text = re.split(r"[\r\n]|\s*Trace ID:", text, maxsplit=1)[0]
    text = re.sub(r"^AADSTS\d+:\s*", "", text)
    return one_line(text)[:LONGEST_QUOTE].strip(" .;")
