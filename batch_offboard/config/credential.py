"""The ways to sign in, one class for each `credential.type`; secrets are named here, never held."""

from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from batch_offboard.config.secret import SecretName, SecretPlace
from batch_offboard.config.values import FilePath, KeyProblemError, KeyringEntry, Part, Variable


class _Way(Part):
    """Base of all ways to sign in; `needs` are the IDs at the top of the configuration that it requires."""

    needs: ClassVar[tuple[str, ...]] = ("tenant_id", "client_id")


class ClientSecret(_Way):
    """An application's secret, in exactly one place."""

    type: Literal["client_secret"]
    secret_env: Variable | None = None
    secret_file: FilePath | None = None
    secret_keyring: KeyringEntry | None = None

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        _require_one(self, "secret_env", "secret_file", "secret_keyring")
        return self

    @property
    def secret(self) -> SecretName:
        return _named(self, "secret_env", "secret_file", "secret_keyring")[0]


class Certificate(_Way):
    """A certificate with its private key, in one PEM or PFX file, with or without a password."""

    type: Literal["certificate"]
    certificate_file: FilePath
    password_env: Variable | None = None
    password_file: FilePath | None = None

    @model_validator(mode="after")
    def _has_at_most_one_password(self) -> Self:
        if len(_named(self, "password_env", "password_file")) > 1:
            raise KeyProblemError("password_file", "cannot be set together with password_env; keep one of the two")
        return self

    @property
    def password(self) -> SecretName | None:
        return next(iter(_named(self, "password_env", "password_file")), None)


class ManagedIdentity(_Way):
    """The identity of an Azure machine; `client_id` at the top picks a user-assigned one."""

    needs: ClassVar[tuple[str, ...]] = ()
    type: Literal["managed_identity"]


class Federated(_Way):
    """An assertion by another identity provider, in a file that it renews."""

    type: Literal["federated"]
    assertion_file: FilePath


class DeviceCode(_Way):
    """A person signs in with a code in a browser; the token is kept in memory or by the operating system."""

    type: Literal["device_code"]
    token_cache: Annotated[Literal["memory", "encrypted"], Field(description="memory or encrypted")] = "memory"  # noqa: S105  # not a secret


class AccessToken(_Way):
    """A ready bearer token from elsewhere, in exactly one place."""

    needs: ClassVar[tuple[str, ...]] = ()
    type: Literal["access_token"]
    token_env: Variable | None = None
    token_file: FilePath | None = None

    @model_validator(mode="after")
    def _has_one_token(self) -> Self:
        _require_one(self, "token_env", "token_file")
        return self

    @property
    def token(self) -> SecretName:
        return _named(self, "token_env", "token_file")[0]


WAYS: tuple[type[_Way], ...] = (
    ClientSecret,
    Certificate,
    ManagedIdentity,
    Federated,
    DeviceCode,
    AccessToken,
)

Credential: TypeAlias = Annotated[
    ClientSecret | Certificate | ManagedIdentity | Federated | DeviceCode | AccessToken,
    Field(discriminator="type"),
]

_PLACES = {"env": SecretPlace.VARIABLE, "file": SecretPlace.FILE, "keyring": SecretPlace.KEYRING}


def _named(way: _Way, *keys: str) -> list[SecretName]:
    """The places that are set among `keys`; a key's last word says what kind of place it is."""
    return [
        SecretName(_PLACES[key.rpartition("_")[2]], str(getattr(way, key)), f"credential.{key}")
        for key in keys
        if getattr(way, key) is not None
    ]


def _require_one(way: _Way, *keys: str) -> None:
    given = _named(way, *keys)
    choice = " or ".join(keys)
    if not given:
        raise KeyProblemError(keys[0], f"is missing; name the place of the secret with one of {choice}")
    if len(given) > 1:
        name = given[1].key.rpartition(".")[2]
        raise KeyProblemError(name, f"is set in addition to another place; keep one of {choice}")
