"""Finds the configuration, checks it, and says in one sentence what is wrong with it."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from batch_offboard.base.errors import ConfigError
from batch_offboard.base.secret import hide
from batch_offboard.config.source import (
    KeyPath,
    Setting,
    Settings,
    read_file,
    settings_in_environment,
    settings_in_text,
    shown,
)
from batch_offboard.config.tree import KEYS, Config, expected, takes_path
from batch_offboard.config.values import KeyProblemError

DEFAULT_NAME = "config.yaml"
PATH_VARIABLE = "BATCH_OFFBOARD_CONFIG"


def load_config(path: Path | None, environ: Mapping[str, str], cwd: Path) -> Config:
    """The configuration in the file; variables of the environment override its values.

    The file is `path`, else the one that `$BATCH_OFFBOARD_CONFIG` names, else `config.yaml` in `cwd`; the last may be
    missing if the environment sets any key. Relative paths in the file start at its folder, those from the environment
    at `cwd`. Raises `ConfigError` for everything that is wrong, and nothing else.
    """
    above = settings_in_environment(environ, cwd, KEYS)
    settings = _with_paths(_file_settings(path, environ, cwd, required=not above.values).overridden_by(above))
    _hide_named(settings, environ)
    try:
        return Config.model_validate(settings.nested())
    except ValidationError as error:
        raise ConfigError(_first_problem(error, settings)) from None


def _hide_named(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make sure that the values of variables that are configured as places of secrets are never logged."""
    for key, setting in settings.values.items():
        if key[-1].endswith("_env"):
            hide(environ.get(str(setting.value), ""))


def is_configured(path: Path | None, environ: Mapping[str, str], cwd: Path) -> bool:
    """Whether a configuration is given: a file that is named or found, or a key in the environment.

    It can still be invalid or missing; then `load_config` raises.
    """
    if path is not None or environ.get(PATH_VARIABLE):
        return True
    found = os.path.exists(cwd / DEFAULT_NAME)  # noqa: PTH110  # Path.exists raises if the folder is not accessible
    return found or bool(settings_in_environment(environ, cwd, KEYS).values)


def _file_settings(path: Path | None, environ: Mapping[str, str], cwd: Path, *, required: bool) -> Settings:
    named = path or environ.get(PATH_VARIABLE)
    place = cwd / (named or DEFAULT_NAME)
    text = read_file(place)
    if text is not None:
        return settings_in_text(text, place, KEYS)
    if named or required:
        origin = "--config" if path else f"${PATH_VARIABLE}" if named else "the default"
        raise ConfigError(
            f"There is no configuration at {place} ({origin}); start from a copy of config.example.yaml, "
            "or rehearse with --simulate, which needs none."
        )
    return Settings({}, {}, "the environment")


def _with_paths(settings: Settings) -> Settings:
    """The values with paths as absolute `Path`; what cannot be a path stays text and is refused as such."""
    values = {
        key: Setting(_absolute(setting), setting.where, setting.base) if takes_path(key) else setting
        for key, setting in settings.values.items()
    }
    return Settings(values, settings.sections, settings.name)


def _absolute(setting: Setting) -> object:
    text = setting.value
    if not isinstance(text, str) or not text.strip() or "://" in text:
        return text
    return setting.base / os.path.expanduser(text)  # noqa: PTH111  # Path.expanduser raises without a home directory


def _first_problem(error: ValidationError, settings: Settings) -> str:
    """One sentence for the first problem; it never repeats the refused value."""
    problem = error.errors(include_url=False, include_input=False)[0]
    kind, key = problem["type"], _key(problem["loc"])
    if kind.startswith("union_tag"):
        key = ("credential", "type")
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, KeyProblemError):
        key = (*key, cause.key)
        complaint = str(cause)
    elif kind in {"missing", "union_tag_not_found"}:
        complaint = f"is missing; it must be {expected(key)}"
    elif kind == "extra_forbidden":
        complaint = "does not go with this type of credential; config.example.yaml shows what does"
    else:
        complaint = f"must be {expected(key)}{_but_is(settings.values.get(key), kind)}"
    return f"{settings.where(key)}: {shown(key)} {complaint}."


def _key(loc: tuple[int | str, ...]) -> KeyPath:
    """The key as the user writes it: pydantic puts the credential's type between the section and its key."""
    names = tuple(str(part) for part in loc)
    return (names[0], *names[2:]) if names[:1] == ("credential",) else names


_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a fraction",
    str: "text",
    type(None): "nothing",
    list: "a list",
    dict: "a mapping",
}


def _but_is(setting: Setting | None, kind: str) -> str:
    """Names the type if it is the problem: `workers: "8"` and `comment: 42` look right at first sight."""
    if setting is None or not (kind.endswith("_type") or kind == "is_instance_of"):
        return ""
    if isinstance(setting.value, str) and kind == "is_instance_of":  # a path is wanted, and paths are text
        return ""
    return f", not {_KINDS.get(type(setting.value), 'a value with this tag')}"
