"""Groups of options that several commands share: one dataclass each, expanded for typer when a command registers."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

Command = Callable[..., int]


def grouped(command: Command) -> Command:
    """The command as typer needs it: each dataclass parameter is replaced in place by the fields of the class. Every
    field needs a default and a name that no other parameter has."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name in groups:
            parameters += _fields(groups[parameter.name])
        else:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
    spelled = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]

    @functools.wraps(command)
    def run(**given: Any) -> int:
        rest = dict(given)
        built = {name: _built(kind, rest) for name, kind in groups.items()}
        return command(**built, **rest)

    run.__signature__ = inspect.Signature(spelled, return_annotation=int)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in spelled} | {"return": int}
    return run


def _fields(group: Any) -> Iterator[inspect.Parameter]:
    """The fields of a group as parameters; a field may itself be a group."""
    hints = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _fields(hint)
        else:
            yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hint)


def _built(group: Any, given: dict[str, Any]) -> Any:
    """Build the group from its fields' values, removing them from `given`."""
    hints = get_type_hints(group, include_extras=True)
    nested = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    return group(**{name: _built(nested[name], given) if name in nested else given.pop(name) for name in hints})
