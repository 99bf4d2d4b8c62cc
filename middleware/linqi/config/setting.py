"""One key of ``linqi.toml``: what it means, what it may be, whose parameter it is."""

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
    """With its unit, as in ``buffer_seconds``."""
    value_type: ValueType
    meaning: str
    """One sentence or two."""
    default: Any
    """None where the key may be absent, and then means what `meaning` says."""
    target: Callable[..., Any] | None = None
    """What takes the value."""
    parameter: str = ""
    """The parameter of `target`."""
    validate: Callable[[Any], object] | None = None
    """Raises `ConfigurationError` for a value of the right type that its target would refuse."""
    is_hidden: bool = False
    """Whether the value never appears in a message: it may be a secret by mistake."""
    example: Any = None
    """What to write for a key that has no default."""


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

    `of` names the class and the parameter that the value is for; where no `default` is given, it
    is that parameter's own, so that it is written down once.
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
    return field(default=default, metadata={_SETTING: declared})


def number(
    meaning: str,
    *,
    of: tuple[Any, str],
    default: Any = MISSING,
    example: Any = None,
) -> Any:
    """Declare a numeric key, whose range `target.RANGES` states for the parameter.

    Args:
        meaning: One sentence or two.
        of: The class and the parameter that the value is for.
        default: Only where it is not the parameter's own.
        example: What to write for a key that has no default.

    """
    target, parameter = of
    value_type = Number(target.RANGES[parameter])
    return setting(value_type, meaning, of=of, default=default, example=example)


def default_of(target: Callable[..., Any], parameter: str) -> Any:
    """Give the default of a parameter of `target`."""
    default = inspect.signature(target).parameters[parameter].default
    if default is inspect.Parameter.empty:
        raise TypeError(f"{target.__name__} has no default for {parameter}")
    return tuple(default) if isinstance(default, list) else default


def settings_of(table: type[Any]) -> Mapping[str, Setting]:
    """Give the keys of a table's dataclass by name, in their order."""
    found = {}
    for declared in fields(table):
        setting: Setting = declared.metadata[_SETTING]
        found[declared.name] = replace(setting, name=declared.name)
    return found


def arguments_for(target: Callable[..., Any], table: Any) -> dict[str, Any]:
    """Give the arguments that `table` has for `target`, by parameter."""
    return dict(_arguments_for(target, table))


def _arguments_for(target: Callable[..., Any], table: Any) -> Iterator[tuple[str, Any]]:
    for name, setting in settings_of(type(table)).items():
        if setting.target is target:
            yield setting.parameter, getattr(table, name)
