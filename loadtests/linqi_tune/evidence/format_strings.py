"""The format strings of nginx and Apache, as the literals and variables of a line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from linqi.errors import ConfigurationError

__all__ = ["Part", "parts_of"]

Part = tuple[str, bool]
"""A literal text, or the name of a variable and True."""

_NGINX: Final = re.compile(r"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")
_APACHE: Final = re.compile(r"%(?:!?[0-9,]*)([<>]?)(?:\{([^}]*)\})?(\^t[io]|[A-Za-z]|%)")
_DIRECTIVES: Final = {
    "h": "remote_addr",
    "a": "remote_addr",
    "l": "ident",
    "u": "remote_user",
    "t": "time_local",
    "r": "request",
    "s": "status",
    "m": "request_method",
    "U": "uri",
    "b": "body_bytes_sent",
    "B": "body_bytes_sent",
    "v": "server_name",
    "V": "server_name",
}
_NAMED: Final = {"i": "http_", "C": "cookie_", "o": "sent_http_", "n": "note_", "e": "env_"}
_EPOCHS: Final = ("sec", "msec", "usec")


def parts_of(text: str) -> tuple[Part, ...]:
    r"""Return the parts of a `log_format` of nginx or a `LogFormat` of Apache.

    Apache's directives get the names of nginx: ``%u`` is ``remote_user``, ``%{X-Session}i`` is
    ``http_x_session`` and ``%{sid}C`` is ``cookie_sid``. Other directives are fields without a
    name. ``\"``, as configurations write it, is a quote.

    Raises:
        ConfigurationError: The string has no variable, or two in a row that nothing separates.

    """
    text = text.replace('\\"', '"').replace("\\t", "\t")
    is_nginx = _NGINX.search(text) is not None
    parts = tuple(_nginx(text) if is_nginx else _apache(text))
    names = [name for name, is_variable in parts if is_variable]
    if not names:
        raise ConfigurationError(
            [f"--log-format {text!r} is no format by name, and has no $variable and no %directive"]
        )
    for (one, first), (other, second) in itertools.pairwise(parts):
        if first and second and other != "rest":
            raise ConfigurationError(
                [f"--log-format: nothing separates {one} and {other}, so no line can be read"]
            )
    return parts


def _nginx(text: str) -> Iterator[Part]:
    end = 0
    for found in _NGINX.finditer(text):
        if found.start() > end:
            yield text[end : found.start()], False
        yield found[1] or found[2], True
        end = found.end()
    if end < len(text):
        yield text[end:], False


def _apache(text: str) -> Iterator[Part]:
    end = 0
    for found in _APACHE.finditer(text):
        literal = text[end : found.start()]
        end = found.end()
        _, argument, letter = found.groups()
        is_time = letter == "t" and not argument
        # Apache's own brackets around the time belong to the directive.
        literal += "%" if letter == "%" else "[" if is_time else ""
        if literal:
            yield literal, False
        if letter != "%":
            yield _name_of(argument, letter), True
        if is_time:
            yield "]", False
    if end < len(text):
        yield text[end:], False


def _name_of(argument: str | None, letter: str) -> str:
    if letter == "t" and argument:
        if argument.removeprefix("begin:").removeprefix("end:") not in _EPOCHS:
            raise ConfigurationError(
                [f"--log-format: %{{{argument}}}t is not read; use %t, %{{sec}}t or %{{msec}}t"]
            )
        return "msec"
    if argument and letter in _NAMED:
        name = argument.lower().replace("-", "_") if letter in "io" else argument
        return _NAMED[letter] + name
    return _DIRECTIVES.get(letter, "unnamed")
