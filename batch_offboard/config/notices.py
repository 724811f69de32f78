"""Who is notified of a run's end, a stop or a missed night, and how; secrets are named here, never held."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from batch_offboard.config.secret import SecretName, SecretPlace
from batch_offboard.config.values import (
    FilePath,
    KeyProblemError,
    MailAddress,
    MailAddresses,
    MailServer,
    Part,
    Variable,
)

HAPPENINGS = ("finished", "stopped", "missed_night")


def _words(text: str) -> str:
    words = [word.strip() for word in text.split(",")]
    if not words or not set(words) <= set(HAPPENINGS):
        raise ValueError("it names something else")
    return ", ".join(dict.fromkeys(words))


Happenings = Annotated[
    str,
    AfterValidator(_words),
    Field(description="one or more of finished, stopped and missed_night, separated by commas"),
]


class Notices(Part):
    """The channels of notices; one whose keys are missing is not used. `timeout` is seconds for each channel."""

    on: Happenings = ", ".join(HAPPENINGS)
    timeout: Annotated[
        float, Field(ge=1, le=300, allow_inf_nan=False, description="a number of seconds from 1 to 300")
    ] = 30.0
    webhook_kind: Annotated[Literal["json", "teams", "slack"], Field(description="json, teams or slack")] = "json"
    webhook_url_env: Variable | None = None
    webhook_url_file: FilePath | None = None
    mail_to: MailAddresses | None = None
    mail_from: MailAddress | None = None
    mail_server: MailServer | None = None
    mail_tls: Annotated[Literal["starttls", "implicit"], Field(description="starttls or implicit")] | None = None
    mail_user: Annotated[str, Field(min_length=1, description="the user's name at the mail server")] | None = None
    mail_password_env: Variable | None = None
    mail_password_file: FilePath | None = None
    mail_attach_mib: Annotated[
        float, Field(ge=0, le=100, allow_inf_nan=False, description="a number of MiB from 0 to 100")
    ] = 10.0
    textfile: FilePath | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.webhook_url_env and self.webhook_url_file:
            raise KeyProblemError(
                "webhook_url_file", "cannot be set together with webhook_url_env; keep one of the two"
            )
        if self.mail_password_env and self.mail_password_file:
            raise KeyProblemError(
                "mail_password_file", "cannot be set together with mail_password_env; keep one of the two"
            )
        if self._mails() and (missing := self._missing_for_mail()):
            raise KeyProblemError(missing, "is missing; mail needs mail_to, mail_from and mail_server")
        if self.mail_password is not None and self.mail_user is None:
            raise KeyProblemError("mail_user", "is missing; a password needs a user")
        if self.mail_user is not None and self.mail_password is None:
            raise KeyProblemError("mail_password_env", "is missing; mail_user needs it, or mail_password_file")
        if self.textfile is not None and self.textfile.suffix != ".prom":
            raise KeyProblemError("textfile", "must end with .prom, which is what the collector reads")
        return self

    @property
    def happenings(self) -> frozenset[str]:
        return frozenset(self.on.split(", "))

    @property
    def has_ways(self) -> bool:
        """Whether any channel is configured."""
        return any(way is not None for way in (self.webhook_url, self.mail_to, self.textfile))

    @property
    def webhook_url(self) -> SecretName | None:
        return _place("webhook_url", self.webhook_url_env, self.webhook_url_file)

    @property
    def mail_password(self) -> SecretName | None:
        return _place("mail_password", self.mail_password_env, self.mail_password_file)

    def _mails(self) -> bool:
        keys = (self.mail_to, self.mail_from, self.mail_server, self.mail_user, self.mail_tls)
        return any(key is not None for key in keys)

    def _missing_for_mail(self) -> str | None:
        return next((key for key in ("mail_to", "mail_from", "mail_server") if getattr(self, key) is None), None)


def _place(key: str, variable: str | None, file: object) -> SecretName | None:
    if variable is not None:
        return SecretName(SecretPlace.VARIABLE, variable, f"notices.{key}_env")
    return None if file is None else SecretName(SecretPlace.FILE, str(file), f"notices.{key}_file")
