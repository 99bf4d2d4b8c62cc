"""The format of the bodies of refused requests, chosen once for an application."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, TypeAlias

from linqi.asgi.refusal_language import LANGUAGE_TAG
from linqi.asgi.refusal_texts import CODES, ENGLISH, TEXTS
from linqi.errors import ConfigurationError

__all__ = ["STYLES", "OnRefusal", "RefusalFacts", "RefusalFormat"]

STYLES: Final = ("rfc6750", "problem", "detail", "envelope")
"""The styles of a body, in the order of the reference."""

_LONGEST_TEXT: Final = 500
_MOST_NUMBER: Final = 2**53 - 1
"""The greatest integer that JavaScript reads exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalFacts:
    """What `on_refusal` is told about a refused request; it never contains the token."""

    status: int
    """The status of the response, which the body cannot change."""
    error: str
    """The ``error`` of the body without a format, as RFC 6750 and RFC 6749 name it."""
    code: str
    """The stable code that a client may see, such as ``token_expired``."""
    cause: str
    """The code in the log, such as ``token_revoked``: it may tell more than clients may know."""
    hint: str
    """The English ``error_description``; empty if there is none."""
    text: str
    """The text of `code` in `language`, or in English where that language has none."""
    scopes: tuple[str, ...]
    """The scopes that the request needs; empty unless `code` is ``insufficient_scope``."""
    path: str
    """The request's path, decoded, as the client sent it."""
    language: str
    """The language that was chosen for the response."""


OnRefusal: TypeAlias = Callable[[RefusalFacts], Mapping[str, Any] | tuple[bytes, str] | None]
"""Returns a JSON object, or a body with its content type, or None for the body of the style."""


@dataclass(frozen=True, slots=True)
class RefusalFormat:
    """The format of the bodies of refused requests.

    Status, challenge and ``Cache-Control`` are the same in every format.

    Args:
        style: ``rfc6750`` for ``{"error", "error_description"}``, ``problem`` for
            ``application/problem+json`` (RFC 9457), ``detail`` for FastAPI's ``{"detail"}``,
            ``envelope`` for ``{"code", "msg", "data"}``.
        language: The language of requests that accept none of the languages, or any.
        negotiate: Whether ``Accept-Language`` chooses the language; if not, all texts are in
            `language`.
        texts: Texts by language and code, which complete or replace the shipped ``en`` and
            ``zh-CN``. A text that a language lacks is taken from English.
        type_base: For ``problem``: comes before the code in ``type``; None for ``about:blank``.
        numbers: For ``envelope``: integers by code; a code without one is sent as text.
        on_refusal: Makes bodies of the application's own.

    Raises:
        ConfigurationError: Arguments are malformed or have no effect; all faults are named.

    """

    style: str = "rfc6750"
    _: KW_ONLY
    language: str = ENGLISH
    negotiate: bool = True
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    type_base: str | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    on_refusal: OnRefusal | None = None

    def __post_init__(self) -> None:
        """Refuse malformed arguments."""
        if faults := [*_faults(self)]:
            raise ConfigurationError(faults)

    @property
    def is_default(self) -> bool:
        """Whether every body is the one that is sent without a format."""
        return self.style == "rfc6750" and self.on_refusal is None

    def languages(self) -> dict[str, dict[str, str]]:
        """Return the texts by language and code: the shipped ones, and those of the application."""
        found = {tag: dict(texts) for tag, texts in TEXTS.items()}
        names = {tag.lower(): tag for tag in found}
        for tag, texts in self.texts.items():
            found.setdefault(names.setdefault(tag.lower(), tag), {}).update(texts)
        return found


def _faults(chosen: RefusalFormat) -> Iterator[str]:
    if chosen.style not in STYLES:
        yield f"style is {chosen.style!r}, expected one of {', '.join(STYLES)}"
    text_faults = [*_text_faults(chosen.texts)]
    yield from text_faults
    if not isinstance(chosen.language, str):
        yield f"language is {chosen.language!r}, expected a language tag such as 'en'"
    elif not text_faults and chosen.language.lower() not in {
        tag.lower() for tag in chosen.languages()
    }:
        yield f"language is {chosen.language!r}, expected one of {', '.join(chosen.languages())}"
    if not isinstance(chosen.negotiate, bool):
        yield "negotiate is neither true nor false"
    if chosen.texts and chosen.is_default:
        yield "texts have no effect in the style rfc6750, whose body is English; choose another"
    yield from _type_faults(chosen)
    yield from _number_faults(chosen)
    yield from _callable_faults(chosen.on_refusal)


def _text_faults(texts: object) -> Iterator[str]:
    if not isinstance(texts, Mapping):
        yield "texts is no mapping of languages, expected such as {'de': {'no_token': '...'}}"
        return
    for tag, table in texts.items():
        if not isinstance(tag, str) or LANGUAGE_TAG.fullmatch(tag) is None:
            yield f"texts has {tag!r}, expected a language tag such as 'zh-CN' (RFC 5646)"
        if not isinstance(table, Mapping):
            yield f"texts of {tag!r} is no mapping of codes to texts"
            continue
        for code, text in table.items():
            yield from _unknown_code(f"texts of {tag!r}", code)
            if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_TEXT:
                yield f"texts of {tag!r}: {code!r} is no text of 1 to {_LONGEST_TEXT} characters"
            elif not text.isprintable():
                yield f"texts of {tag!r}: {code!r} has characters that are not printable"
    folded = [tag.lower() for tag in texts if isinstance(tag, str)]
    if len(set(folded)) != len(folded):
        yield "texts names a language twice, in different case"


def _type_faults(chosen: RefusalFormat) -> Iterator[str]:
    base = chosen.type_base
    if base is None:
        return
    is_uri = isinstance(base, str) and 0 < len(base) <= _LONGEST_TEXT and base.isascii()
    if not is_uri or not base.isprintable() or not {" ", '"', "<", ">", "\\"}.isdisjoint(base):
        yield f"type_base is {base!r}, expected a URI such as 'https://api.example/errors/'"
    elif chosen.style != "problem":
        yield f"type_base has no effect in the style {chosen.style}; choose problem"


def _number_faults(chosen: RefusalFormat) -> Iterator[str]:
    if not isinstance(chosen.numbers, Mapping):
        yield "numbers is no mapping of codes to integers"
        return
    for code, value in chosen.numbers.items():
        yield from _unknown_code("numbers", code)
        if type(value) is not int or abs(value) > _MOST_NUMBER:
            yield f"numbers of {code!r} is no integer of at most 53 bits"
    if chosen.numbers and chosen.style != "envelope":
        yield f"numbers have no effect in the style {chosen.style}; choose envelope"


def _callable_faults(function: object) -> Iterator[str]:
    if function is None:
        return
    if not callable(function):
        yield "on_refusal is no function"
    elif inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an instance with such a method
    ):
        yield "on_refusal is a coroutine function, expected a plain one"


def _unknown_code(where: str, code: object) -> Iterator[str]:
    if code not in CODES:
        near = difflib.get_close_matches(str(code)[:64], CODES, 1)
        told = f"; did you mean {near[0]}?" if near else f", expected one of {sorted(CODES)}"
        yield f"{where} has the unknown code {code!r}{told}"
