"""What Microsoft Entra ID checks before it gives a token, and what it answers; it sends and receives nothing itself.

From Microsoft's pages on the client credentials flow, certificate credentials, federated credentials, the device code
flow and the error codes (learn.microsoft.com/entra/identity-platform). It knows nothing of the program under test.
"""

import base64
import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.entra.wire import Reply, Request

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "api://AzureADTokenExchange"

Form = Mapping[str, str]


class RefusedError(Exception):
    """Ends a request with an OAuth error."""

    def __init__(self, number: int, error: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.reply = refusal(number, error, text, status)


def refusal(number: int, error: str = "invalid_client", text: str = "No.", status: int = 401) -> Reply:
    """An error as Entra words it."""
    description = f"AADSTS{number}: {text} Trace ID: 11aa Correlation ID: 22bb Timestamp: 2026-11-24 06:00:00Z"
    return Reply(status, {"error": error, "error_description": description, "error_codes": [number]})


@dataclass(frozen=True)
class Federation:
    """Whose assertions an application accepts."""

    issuer: str
    subject: str
    key: rsa.RSAPublicKey


@dataclass
class Registration:
    """One application. `secrets` are good or ended; `trusted_subjects` are common names with the authority's key."""

    client_id: str
    secrets: dict[str, bool] = field(default_factory=dict)
    certificates: list[x509.Certificate] = field(default_factory=list)
    trusted_subjects: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    federations: list[Federation] = field(default_factory=list)
    public: bool = False
    roles: tuple[str, ...] = ("Machine.Offboard", "Machine.Read.All")
    scp: str = "Machine.Offboard Machine.Read"


@dataclass
class Tenant:
    """One tenant of Entra ID at `url`. `now` tells the time of the tokens' lives, in seconds since the epoch.

    `person` is what somebody with a device code has done at each question; the last one holds on. `disorders` are
    replies that come instead, one for each request for a token. `ended_refresh` is why no refresh token holds any more.
    """

    tenant_id: str
    resource: str
    url: str = ""
    now: Callable[[], float] = time.time
    lifetime: object = 3599
    registrations: dict[str, Registration] = field(default_factory=dict)
    disorders: deque[Reply] = field(default_factory=deque)
    person: deque[str] = field(default_factory=lambda: deque(["signs in"]))
    interval: int = 1
    code_lasts: int = 900
    ended_refresh: int | None = None
    user: str = "ann@contoso.example"
    claims: dict[str, object] = field(default_factory=dict)  # put into every token, over the right ones
    metadata: dict[str, object] = field(default_factory=dict)  # likewise for the tenant's metadata
    tokens: list[str] = field(default_factory=list)
    assertions: list[dict[str, Any]] = field(default_factory=list)  # headers of those that were accepted
    faults: list[str] = field(default_factory=list)  # what no client may do
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)
    _used: set[str] = field(default_factory=set)
    _refresh: set[str] = field(default_factory=set)
    _codes: dict[str, float] = field(default_factory=dict)
    _polled_at: float = float("-inf")

    def register(self, client_id: str, **kinds: Any) -> Registration:
        self.registrations[client_id] = Registration(client_id, **kinds)
        return self.registrations[client_id]

    def answer(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except RefusedError as refused:
            return refused.reply

    def _answer(self, request: Request) -> Reply:
        tenant, _, rest = request.path.strip("/").partition("/")
        if tenant != self.tenant_id:
            raise RefusedError(90002, "invalid_tenant", f"Tenant '{tenant}' not found.")
        if (request.method, rest) == ("GET", "v2.0/.well-known/openid-configuration"):
            return Reply(body=self._metadata())
        if request.headers.get("content-type") != "application/x-www-form-urlencoded" or request.query:
            self.faults.append(f"{request.method} {rest} is no form")
        if (request.method, rest) == ("POST", "oauth2/v2.0/devicecode"):
            return self._device_code(request.form)
        if (request.method, rest) == ("POST", "oauth2/v2.0/token"):
            return self.disorders.popleft() if self.disorders else self._token(request.form)
        return Reply(404, {"error": "not found"})

    @property
    def token_endpoint(self) -> str:
        return f"{self.url}/{self.tenant_id}/oauth2/v2.0/token"

    def _metadata(self) -> dict[str, object]:
        base = f"{self.url}/{self.tenant_id}/oauth2/v2.0"
        return {
            "issuer": f"{self.url}/{self.tenant_id}/v2.0",
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": self.token_endpoint,
            "device_authorization_endpoint": f"{base}/devicecode",
        } | self.metadata

    # -- the grants --

    def _token(self, form: Form) -> Reply:
        application = self._application(form)
        match form.get("grant_type"):
            case "client_credentials":
                self._check_application(form, application)
                self._check_scope(form["scope"], {f"{self.resource}/.default"})
                return Reply(body=self._grant(self._application_claims(application)))
            case "refresh_token":
                return self._refreshed(form, application)
            case grant if grant == DEVICE_CODE:
                return self._polled(form, application)
        raise RefusedError(70003, "unsupported_grant_type", "The grant type is not supported.")

    def _application(self, form: Form) -> Registration:
        found = self.registrations.get(form.get("client_id", ""))
        if found is None:
            text = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
            raise RefusedError(700016, "unauthorized_client", text)
        return found

    def _check_scope(self, scope: str, wanted: set[str]) -> None:
        if set(scope.split()) != wanted:
            raise RefusedError(500011, "invalid_resource", f"The resource principal named {scope} was not found.")

    def _grant(self, claims: Mapping[str, object], **more: object) -> dict[str, object]:
        token = self._jwt(claims)
        self.tokens.append(token)
        granted: dict[str, object] = {"token_type": "Bearer", "access_token": token}
        if self.lifetime is not None:
            granted |= {"expires_in": self.lifetime, "ext_expires_in": self.lifetime}
        return granted | more

    def _application_claims(self, application: Registration) -> dict[str, object]:
        return {
            "idtyp": "app",
            "roles": list(application.roles),
            "appid": application.client_id,
            "oid": "o",
            "sub": "o",
        }

    def _user_claims(self, application: Registration) -> dict[str, object]:
        return {"scp": application.scp, "appid": application.client_id, "upn": self.user, "oid": "u", "sub": "pairwise"}

    def _jwt(self, claims: Mapping[str, object]) -> str:
        now = int(self.now())
        life = {"exp": now + int(self.lifetime)} if isinstance(self.lifetime, int) else {}
        body = {"aud": self.resource, "iat": now, "tid": self.tenant_id, "uti": str(next(self._ids))} | life
        return _unsigned(body | dict(claims) | self.claims)

    # -- an application's proof --

    def _check_application(self, form: Form, application: Registration) -> None:
        if "client_assertion" in form:
            self._check_assertion(form, application)
            return
        if "client_secret" not in form:
            raise RefusedError(7000216, "invalid_client", "'client_assertion' or 'client_secret' is required.", 401)
        ended = application.secrets.get(form["client_secret"])
        if ended is None:
            raise RefusedError(7000215, "invalid_client", "Invalid client secret provided.", 401)
        if ended:
            raise RefusedError(7000222, "invalid_client", "The provided client secret keys are expired.", 401)

    def _check_assertion(self, form: Form, application: Registration) -> None:
        assertion = form["client_assertion"]
        if form.get("client_assertion_type") != JWT_BEARER:
            raise RefusedError(50027, "invalid_request", "The assertion type is not known.")
        try:
            header = jwt.get_unverified_header(assertion)
            issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError as error:
            raise RefusedError(50027, "invalid_request", f"JWT token is invalid: {error}") from error
        if issuer == application.client_id:
            self._check_own_assertion(assertion, header, application)
        else:
            self._check_foreign_assertion(assertion, str(issuer), application)
        self.assertions.append(header)

    def _check_own_assertion(self, assertion: str, header: Mapping[str, Any], application: Registration) -> None:
        key = _signer(header, application)
        if key is None:
            text = "Client assertion failed signature validation. [Reason - The key was not found.]"
            raise RefusedError(700027, "invalid_client", text, 401)
        claims = self._decoded(assertion, key, ["PS256", "RS256"], self.token_endpoint)
        if claims["sub"] != application.client_id:
            raise RefusedError(50048, "invalid_client", "Subject mismatches issuer.", 401)
        if claims["jti"] in self._used:
            self.faults.append("an assertion came twice")
        self._used.add(claims["jti"])

    def _check_foreign_assertion(self, assertion: str, issuer: str, application: Registration) -> None:
        claims = jwt.decode(assertion, options={"verify_signature": False})
        for each in application.federations:
            if (each.issuer, each.subject) == (issuer, claims.get("sub")):
                self._decoded(assertion, each.key, ["RS256"], TOKEN_EXCHANGE)
                return
        text = f"No matching federated identity record found for presented assertion subject '{claims.get('sub')}'."
        raise RefusedError(700213, "invalid_client", text, 401)

    def _decoded(self, assertion: str, key: rsa.RSAPublicKey, algorithms: list[str], audience: str) -> dict[str, Any]:
        """The claims, once signature, audience and time are right. Assertions live in the real time."""
        required = {"require": ["aud", "iss", "sub", "exp", "jti"]}
        try:
            return dict(jwt.decode(assertion, key, algorithms, options=required, audience=audience))  # type: ignore[arg-type]  # a dict of options
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            text = "Client assertion is not within its valid time range."
            raise RefusedError(700024, "invalid_client", text, 401) from error
        except jwt.InvalidTokenError as error:
            raise RefusedError(700027, "invalid_client", f"Client assertion failed validation: {error}", 401) from error

    # -- a person --

    def _device_code(self, form: Form) -> Reply:
        if not self._application(form).public:
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise RefusedError(7000218, "invalid_client", text, 401)
        self._check_scope(form["scope"], {f"{self.resource}/.default", "openid", "profile", "offline_access"})
        code = f"device-code-{next(self._ids)}"
        self._codes[code] = self.now() + self.code_lasts
        return Reply(
            body={
                "device_code": code,
                "user_code": "ABCD-EFGH",
                "verification_uri": "https://microsoft.example/devicelogin",
                "expires_in": self.code_lasts,
                "interval": self.interval,
                "message": "Use a browser.",
            }
        )

    def _polled(self, form: Form, application: Registration) -> Reply:
        if form.get("device_code") not in self._codes:
            raise RefusedError(70018, "bad_verification_code", "The code is not known.")
        if self.now() < self._polled_at + self.interval:
            self.faults.append("asked too soon")
        self._polled_at = self.now()
        if self.now() > self._codes[form["device_code"]]:
            raise RefusedError(70020, "expired_token", "This device code has expired.")
        match self.person.popleft() if len(self.person) > 1 else self.person[0]:
            case "signs in":
                return self._signed_in(application)
            case "slow_down":
                self.interval += 5
                raise RefusedError(70016, "slow_down", "Slow down.")
            case "declines":
                raise RefusedError(65004, "authorization_declined", "User declined to consent.")
        raise RefusedError(70016, "authorization_pending", "Authorization is pending.")

    def _refreshed(self, form: Form, application: Registration) -> Reply:
        self._check_scope(form["scope"], {f"{self.resource}/.default", "openid", "profile", "offline_access"})
        if self.ended_refresh is not None or form.get("refresh_token") not in self._refresh:
            text = "The refresh token has expired or is invalid."
            raise RefusedError(self.ended_refresh or 700082, "invalid_grant", text)
        self._refresh.remove(form["refresh_token"])
        return self._signed_in(application)

    def _signed_in(self, application: Registration) -> Reply:
        refresh = f"refresh-token-{next(self._ids)}"
        self._refresh.add(refresh)
        identity = {"aud": application.client_id, "tid": self.tenant_id, "oid": "u", "sub": "pairwise"}
        granted = self._grant(
            self._user_claims(application),
            refresh_token=refresh,
            scope=f"{self.resource}/.default",
            id_token=_unsigned(
                identity
                | {"iss": f"{self.url}/{self.tenant_id}/v2.0", "exp": int(time.time()) + 3600, "iat": int(time.time())}
                | {"preferred_username": self.user}
            ),
            client_info=_encoded({"uid": self.user.partition("@")[0], "utid": self.tenant_id}),
        )
        return Reply(body=granted)


def _signer(header: Mapping[str, Any], application: Registration) -> rsa.RSAPublicKey | None:
    """The key of the certificate that the header names: a registered one, or one that came along and is vouched for."""
    thumbprint = header.get("x5t#S256") or header.get("x5t")
    for certificate in application.certificates:
        prints = {_encoded_bytes(certificate.fingerprint(kind)) for kind in (hashes.SHA256(), hashes.SHA1())}  # noqa: S303  # x5t is SHA-1
        if str(thumbprint).rstrip("=") in prints:
            return _rsa(certificate)
    for text in header.get("x5c", [])[:1]:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text))
        name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        authority = application.trusted_subjects.get(str(name))
        if authority is not None and _is_signed_by(certificate, authority):
            return _rsa(certificate)
    return None


def _is_signed_by(certificate: x509.Certificate, authority: rsa.RSAPublicKey) -> bool:
    algorithm = certificate.signature_hash_algorithm
    assert algorithm is not None
    try:
        authority.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    except Exception:  # noqa: BLE001  # any failure is a no
        return False
    return True


def _rsa(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def _unsigned(body: Mapping[str, object]) -> str:
    return f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(body)}.c2lnbmF0dXJl"


def _encoded(value: object) -> str:
    return _encoded_bytes(json.dumps(value).encode())


def _encoded_bytes(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
