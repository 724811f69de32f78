"""The configuration as code sees it; `config.example.yaml` explains the keys to people."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator
from pydantic.fields import FieldInfo

from batch_offboard.base.text import LONGEST_COMMENT
from batch_offboard.config.clouds import CLOUDS, Cloud, Endpoints
from batch_offboard.config.credential import WAYS, Credential
from batch_offboard.config.hours import Hours
from batch_offboard.config.notices import Notices
from batch_offboard.config.secret import SecretName, SecretPlace
from batch_offboard.config.source import KeyPath, KeyTree
from batch_offboard.config.values import (
    PATH_DESCRIPTION,
    ApiUrl,
    Audience,
    Calls,
    FilePath,
    Guid,
    KeyProblemError,
    Line,
    Part,
    Percent,
    ProxyUrl,
    SignInUrl,
    Variable,
)
from batch_offboard.core.platforms import Platforms
from batch_offboard.core.settling import HORIZON

ZERO_ID = "00000000-0000-0000-0000-000000000000"


class Quota(Part):
    """The API's quota for this tenant and application, and the share of it that is used."""

    per_minute: Calls = 100
    per_hour: Calls = 1500
    burst: Calls = 1
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, description="a number above 0 and at most 1")] = 1.0

    @model_validator(mode="after")
    def _leaves_calls_to_make(self) -> Self:
        if self.burst > self.per_minute:
            raise KeyProblemError("burst", f"must be at most per_minute, which is {self.per_minute}")
        if min(self.per_minute, self.per_hour) * self.share < 1:
            raise KeyProblemError("share", "leaves less than one call; raise it or the quota")
        return self


class Guards(Part):
    """The limits that stop a run. `protected`: the file that lists devices that are never offboarded. `stop_file`: a
    file whose existence stops a run. `max_devices_per_day` defaults to the limit of one run. With
    `continue_after_failures` a refusal among the first calls does not stop the run. `approvals`: how many other people
    have to approve a run."""

    max_devices: Annotated[int, Field(ge=1, description="a whole number of at least 1")] = 500
    max_devices_per_day: Annotated[int, Field(ge=1, description="a whole number of at least 1")] | None = None
    max_fleet_percent: Percent = 20.0
    protected: FilePath | None = None
    abort_failure_percent: Percent = 10.0
    continue_after_failures: Annotated[bool, Field(description="true or false")] = False
    require_comment: Annotated[bool, Field(description="true or false")] = False
    approvals: Annotated[int, Field(ge=0, le=20, description="a whole number from 0 to 20")] = 0
    stop_file: FilePath | None = None

    @property
    def per_day(self) -> int:
        """The limit of devices for one day."""
        return self.max_devices_per_day or self.max_devices


class Lookup(Part):
    """The look-up of devices in the tenant; `horizon` is in seconds."""

    platforms: Annotated[Platforms, Field(strict=False, description=f"one of {', '.join(Platforms)}")] = (
        Platforms.STANDARD
    )
    horizon: Annotated[
        float,
        Field(ge=60, le=604_800, allow_inf_nan=False, description="a number of seconds from 60 to 604800"),
    ] = HORIZON


def _named(value: object) -> object:
    """A sheet or a column is given by its text or its number."""
    return str(value) if type(value) is int else value


Named = Annotated[str, BeforeValidator(_named), Field(min_length=1)]
Flag = Annotated[bool, Field(description="true or false")]


class Inbox(Part):
    """How `nightly` reads the sheets of its inbox. Every key is also an option of `nightly`, which takes precedence."""

    sheet: Annotated[Named, Field(description="the name or the number of a sheet")] | None = None
    id_column: Annotated[Named, Field(description="the header, letter or number of a column")] | None = None
    name_column: Annotated[Named, Field(description="the header, letter or number of a column")] | None = None
    visible_only: Flag = False
    include_hidden: Flag = False
    multiline_text: Flag = False

    @model_validator(mode="after")
    def _means_one_thing(self) -> Self:
        if self.visible_only and self.include_hidden:
            raise KeyProblemError("include_hidden", "cannot be true together with visible_only; keep one of the two")
        return self


class Network(Part):
    """Proxy, certificates and timeout; `timeout` is seconds for one call."""

    proxy: ProxyUrl | None = None
    proxy_user: Annotated[str, Field(min_length=1, description="the user's name at the proxy")] | None = None
    proxy_password_env: Variable | None = None
    ca_file: FilePath | None = None
    timeout: Annotated[
        float,
        Field(ge=1, le=3600, allow_inf_nan=False, description="a number of seconds from 1 to 3600"),
    ] = 90.0

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.proxy_user and self.proxy in {None, "environment"}:
            raise KeyProblemError("proxy_user", "needs the URL of its proxy in proxy")
        if self.proxy_password_env and not self.proxy_user:
            raise KeyProblemError("proxy_password_env", "needs a proxy_user")
        return self

    @property
    def proxy_password(self) -> SecretName | None:
        if self.proxy_password_env is None:
            return None
        return SecretName(SecretPlace.VARIABLE, self.proxy_password_env, "network.proxy_password_env")


class Log(Part):
    """Whether, where and how events are logged. A file larger than `max_megabytes` is rotated; `keep` older ones are
    kept."""

    file: FilePath | None = None
    format: Annotated[Literal["text", "json"], Field(description="text or json")] = "text"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="debug, info, warning or error")
    ] = "info"
    max_megabytes: Annotated[
        float, Field(ge=0.01, le=10_000, allow_inf_nan=False, description="a number from 0.01 to 10000")
    ] = 10.0
    keep: Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")] = 5


class Config(Part):
    """The whole configuration; IDs are None only if the way to sign in does not need them."""

    tenant_id: Guid | None = None
    client_id: Guid | None = None
    credential: Credential
    cloud: Annotated[Cloud, Field(strict=False, description=f"one of {', '.join(Cloud)}")] = Cloud.COMMERCIAL
    sign_in_url: SignInUrl | None = None
    api_url: ApiUrl | None = None
    audience: Audience | None = None
    comment: (
        Annotated[Line, Field(description=f"one line of text, at most {LONGEST_COMMENT} characters long")] | None
    ) = None
    quota: Quota = Quota()
    workers: Annotated[int, Field(ge=1, le=64, description="a whole number from 1 to 64")] = 8
    journal: FilePath | None = None
    guards: Guards = Guards()
    lookup: Lookup = Lookup()
    network: Network = Network()
    notices: Notices = Notices()
    log: Log = Log()
    window: Hours = Hours()
    inbox: Inbox = Inbox()

    @model_validator(mode="after")
    def _has_the_ids_it_needs(self) -> Self:
        way = self.credential
        for key, given in (("tenant_id", self.tenant_id), ("client_id", self.client_id)):
            if key in way.needs and given is None:
                raise KeyProblemError(key, f"is missing; the credential type {way.type} needs it")
            if given == ZERO_ID and way.type != "access_token":
                raise KeyProblemError(key, "is still the example's zero ID; put your own ID there")
        return self

    @property
    def endpoints(self) -> Endpoints:
        """The cloud's row, overridden by `sign_in_url`, `api_url` and `audience` if they are set."""
        row = CLOUDS[self.cloud]
        return Endpoints(self.sign_in_url or row.sign_in, self.api_url or row.api_url, self.audience or row.audience)


SECTIONS: dict[str, tuple[type[Part], ...]] = {
    "credential": WAYS,
    "quota": (Quota,),
    "guards": (Guards,),
    "lookup": (Lookup,),
    "network": (Network,),
    "notices": (Notices,),
    "log": (Log,),
    "window": (Hours,),
    "inbox": (Inbox,),
}


def _fields(part: type[Part]) -> dict[str, FieldInfo]:
    """A section's keys as users write them: some are not valid names in Python."""
    return {field.alias or name: field for name, field in part.model_fields.items()}


KEYS: KeyTree = {
    name: frozenset(key for part in SECTIONS.get(name, ()) for key in _fields(part)) for name in Config.model_fields
}


def expected(key: KeyPath) -> str:
    """What a key takes, as words that follow "must be"."""
    if key == ("credential", "type"):
        return "one of " + ", ".join(get_args(way.model_fields["type"].annotation)[0] for way in WAYS)
    if key[0] in SECTIONS and len(key) == 1:
        return f"a section with keys of its own ({', '.join(sorted(KEYS[key[0]]))})"
    parts = (Config,) if len(key) == 1 else SECTIONS[key[0]]
    field = next(_fields(part)[key[-1]] for part in parts if key[-1] in _fields(part))
    return field.description or _inner_description(field)


def takes_path(key: KeyPath) -> bool:
    return expected(key) == PATH_DESCRIPTION


def _inner_description(field: FieldInfo) -> str:
    """The description in `X | None`, which pydantic does not copy to the field."""
    extras = (extra for option in get_args(field.annotation) for extra in get_args(option)[1:])
    return next(extra.description for extra in extras if isinstance(extra, FieldInfo) and extra.description)
