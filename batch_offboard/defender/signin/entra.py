"""Signs an application in at Microsoft Entra ID: with a secret, a certificate, or another provider's assertion.

Each token is requested with a new msal application. So a secret, certificate or assertion that was replaced meanwhile
is read again, and msal's token cache, which could return a refused token again, is not used. Only its HTTP cache is
kept: with it msal obeys the service's Retry-After.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msal

from batch_offboard.base.clock import Clock
from batch_offboard.base.errors import ConfigError, SignInError, TransientSignInError
from batch_offboard.config import (
    Certificate,
    ClientSecret,
    Federated,
    SecretName,
    SecretPlace,
    read_assertion_file,
    read_private_file,
    read_secret,
)
from batch_offboard.defender.signin.renewal import Grant
from batch_offboard.defender.signin.session import Answer, Line, SignInSession, ask

ASSERTION_KEY = "credential.assertion_file"
CERTIFICATE_KEY = "credential.certificate_file"

ASKED_AGAIN = 300.0  # seconds after which a refused proof is tried again


@dataclass(frozen=True, slots=True)
class Proof:
    """An application's credential, as msal takes it; `hidden` are the parts that no message may show."""

    credential: object = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)
    shown: str = field(default="", repr=False)

    @property
    def digest(self) -> bytes:
        """A digest that identifies the proof without keeping it."""
        return hashlib.sha256("\0".join((*self.hidden, self.shown)).encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class _Refused:
    """The last refusal: the proof's digest, the message, and the time in ticks of the clock."""

    digest: bytes
    sentence: str
    at: float


class Application:
    """An `Applicant` that reads the proof again for each token."""

    def __init__(self, read: Callable[[], Proof], line: Line, authority: str, scope: str, clock: Clock) -> None:
        self._read, self._line, self._clock = read, line, clock
        self._authority, self._scope = authority, scope
        self._refused: _Refused | None = None

    def first(self) -> Grant:
        return self.another()

    def another(self) -> Grant:
        """A new token. A refused proof is not sent again at once, which would fail again and look like an attack, but
        after ASKED_AGAIN: an administrator may have granted consent, or enabled or registered the application."""
        proof, now = self._read(), self._clock.now().ticks
        refused = self._refused
        if refused is not None and refused.digest == proof.digest and now - refused.at < ASKED_AGAIN:
            raise SignInError(refused.sentence)
        try:
            return self._ask(proof)
        except TransientSignInError:
            raise
        except SignInError as error:
            self._refused = _Refused(proof.digest, str(error), now)
            raise

    def _ask(self, proof: Proof) -> Grant:
        def question(session: SignInSession) -> Answer:
            application = msal.ConfidentialClientApplication(
                self._line.asked.application,
                client_credential=proof.credential,
                authority=self._authority,
                instance_discovery=False,  # the hosts of each cloud are in our own table
                azure_region=False,  # otherwise MSAL_FORCE_REGION would send the secret to another host
                http_client=session,
                http_cache=self._line.http_cache,
            )
            answer: Answer = application.acquire_token_for_client([self._scope])
            return answer

        return ask(self._line, question, proof.hidden)


# -- the proofs --


def proof_of(
    way: ClientSecret | Certificate | Federated, environ: Mapping[str, str], clock: Clock
) -> tuple[Callable[[], Proof], str]:
    """A function that reads the proof, and where the proof is, as part of a sentence."""
    match way:
        case ClientSecret():
            return partial(secret_proof, way, environ), place_of(way.secret)
        case Certificate():
            return partial(
                certificate_proof, way, environ, clock
            ), f"the file {way.certificate_file} ({CERTIFICATE_KEY})"
        case Federated():
            return partial(assertion_proof, way), f"the file {way.assertion_file} ({ASSERTION_KEY})"


def secret_proof(way: ClientSecret, environ: Mapping[str, str]) -> Proof:
    value = read_secret(way.secret, environ).reveal()
    return Proof(value, (value,))


def certificate_proof(way: Certificate, environ: Mapping[str, str], clock: Clock) -> Proof:
    """The certificate itself is sent, too (x5c), for applications that trust a subject name and not one certificate."""
    from batch_offboard.defender.signin.certificates import key_pair

    data = read_private_file(way.certificate_file, CERTIFICATE_KEY)
    password = read_secret(way.password, environ).reveal() if way.password else None
    pair = key_pair(data, password, way.certificate_file, clock.now().wall)
    return Proof({"private_key": pair.key, "public_certificate": pair.certificate}, (pair.key,), pair.certificate)


def assertion_proof(way: Federated) -> Proof:
    text = _assertion(way.assertion_file)
    return Proof({"client_assertion": lambda: text}, (text,))


def _assertion(path: Path) -> str:
    try:
        text = read_assertion_file(path, ASSERTION_KEY).decode("ascii").strip()
    except UnicodeDecodeError:
        text = ""
    if not text or len(text.split()) != 1:
        raise ConfigError(
            f"The file {path} ({ASSERTION_KEY}) contains no assertion, which is one line of text; name the file that "
            "your identity provider writes."
        )
    return text


def place_of(named: SecretName) -> str:
    """Where a secret is, as part of a sentence."""
    what = {SecretPlace.VARIABLE: "variable", SecretPlace.FILE: "file", SecretPlace.KEYRING: "keyring entry"}
    return f"the {what[named.place]} {named.name} ({named.key})"
