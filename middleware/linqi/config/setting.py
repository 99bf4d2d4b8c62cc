"""A key of ``linqi.toml``: its meaning, its type, and the parameter that receives it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Final

from linqi.config.value_types import Number, String, ValueType

__all__ = [
    "PATH",
    "VARIABLE",
    "Setting",
    "arguments_for",
    "default_of",
    "number",
    "setting",
    "settings_of",
]

_SETTING: Final = "setting"
VARIABLE: Final = String(
    "the name of an environment variable, in capitals", "[A-Z_][A-Z0-9_]{0,63}"
)
PATH: Final = String("a path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key of a table."""

    name: str
    """The name, with its unit, as in ``buffer_seconds``."""
    value_type: ValueType
    meaning: str
    """One sentence or two."""
    default: Any
    """None if the key may be absent; `meaning` then says what applies."""
    target: Callable[..., Any] | None = None
    """The class or function that receives the value."""
    parameter: str = ""
    """The parameter of `target`."""
    validate: Callable[[Any], object] | None = None
    """Raises `ConfigurationError` for a value of the right type that its target would refuse."""
    is_hidden: bool = False
    """Whether messages never show the value, because it may be a secret by mistake."""
    example: Any = None
    """The value that a new file shows for a key without a default."""


def setting(
    value_type: ValueType,
    meaning: str,
    *,
    of: tuple[Callable[..., Any], str] | None = None,
    default: Any = MISSING,
    validate: Callable[[Any], object] | None = None,
    is_hidden: bool = False,
    example: Any = None,
) -> Any:
    """Declare a field of a table's dataclass as a key.

    Args:
        value_type: The values that are allowed.
        meaning: One sentence or two.
        of: The class and the parameter that receive the value.
        default: The default; that of the parameter if left out, so that it is written once.
        validate: Raises `ConfigurationError` for values that only the target can judge.
        is_hidden: Whether messages never show the value.
        example: The value that a new file shows for a key without a default.

    """
    target, parameter = of or (None, "")
    if default is MISSING:
        default = default_of(target, parameter) if target is not None else None
    declared = Setting(
        name="",
        value_type=value_type,
        meaning=meaning,
        default=default,
        target=target,
        parameter=parameter,
        validate=validate,
        is_hidden=is_hidden,
        example=example,
    )
    metadata = {_SETTING: declared}
    if isinstance(default, dict):  # a mutable default, which a dataclass refuses
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def number(
    meaning: str,
    *,
    of: tuple[Any, str],
    default: Any = MISSING,
    example: Any = None,
) -> Any:
    """Declare a numeric key; the class that receives it states the range in its ``RANGES``.

    Args:
        meaning: One sentence or two.
        of: The class and the parameter that receive the value.
        default: Only if it differs from the default of the parameter.
        example: The value that a new file shows for a key without a default.

    """
    target, parameter = of
    value_type = Number(target.RANGES[parameter])
    return setting(value_type, meaning, of=of, default=default, example=example)


def default_of(target: Callable[..., Any], parameter: str) -> Any:
    """Return the default of a parameter; raise `TypeError` if it has none."""
    default = inspect.signature(target).parameters[parameter].default
    if default is inspect.Parameter.empty:
        raise TypeError(f"{target.__name__} has no default for {parameter}")
    return tuple(default) if isinstance(default, list) else default


def settings_of(table: type[Any]) -> Mapping[str, Setting]:
    """Return the keys of a table's dataclass by name, in their order."""
    found = {}
    for declared in fields(table):
        setting: Setting = declared.metadata[_SETTING]
        found[declared.name] = replace(setting, name=declared.name)
    return found


def arguments_for(target: Callable[..., Any], table: Any) -> dict[str, Any]:
    """Return the values of `table` that `target` receives, by parameter."""
    return dict(_arguments_for(target, table))


def _arguments_for(target: Callable[..., Any], table: Any) -> Iterator[tuple[str, Any]]:
    for name, setting in settings_of(type(table)).items():
        if setting.target is target:
            yield setting.parameter, getattr(table, name)
