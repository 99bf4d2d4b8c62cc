"""The bodies of refusals in the format of the application."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from linqi._callbacks import log_fault
from linqi.asgi._http import Scope
from linqi.asgi.refusal_format import RefusalFacts, RefusalFormat
from linqi.asgi.refusal_language import Languages
from linqi.asgi.refusal_texts import ENGLISH
from linqi.asgi.refusals import Refusal
from linqi.asgi.responses import encode_json
from linqi.errors import ConfigurationError
from linqi.events import RefusalBodyFailed

if TYPE_CHECKING:
    from linqi.events import Event

__all__ = ["RefusalWriter", "writer_of"]

_Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
_Body: TypeAlias = tuple[bytes, _Headers]

_DESCRIBING: Final = frozenset({b"content-type", b"content-length"})
_JSON: Final = b"application/json"
_MEDIA_TYPES: Final = {"problem": b"application/problem+json"}
_MOST_BODIES: Final = 1024
_VARY: Final = (b"vary", b"accept-language")


class RefusalWriter:
    """Writes the bodies of refusals; each is made once for its code, language and scopes.

    Args:
        chosen: The format.
        report: Receives `RefusalBodyFailed`.

    """

    def __init__(self, chosen: RefusalFormat, report: Callable[[Event], object]) -> None:
        self._format = chosen
        self._texts = chosen.languages()
        self._report = report
        self._languages = Languages(self._texts, chosen.language)
        self._varies: _Headers = (_VARY,) if chosen.negotiate else ()
        self._media_type = _MEDIA_TYPES.get(chosen.style, _JSON)
        self._style = _STYLES[chosen.style]
        self._bodies: dict[tuple[str, int, tuple[str, ...], str], _Body] = {}
        self._faults = 0

    def write(self, refusal: Refusal, scope: Scope) -> tuple[_Headers, bytes]:
        """Return the headers and the body of `refusal`: all but those of the body are kept."""
        language = self._language(scope)
        made = None
        if self._format.on_refusal is not None:
            made = self._own(self._facts(refusal, scope, language))
        if made is None:
            made = self._made(refusal, scope, language)
        body, described = made
        kept = (header for header in refusal.headers if header[0] not in _DESCRIBING)
        return (*described, *kept, *self._varies), body

    def beside(self, refusal: Refusal, scope: Scope) -> tuple[dict[str, Any], _Headers]:
        """Return the members that a session route adds to its error, and their headers.

        A body of bytes cannot stand beside ``error``: the members of the style are returned then.
        """
        facts = self._facts(refusal, scope, self._language(scope))
        answer = self._answer(facts)
        is_fit = answer is not None and self._encoded(answer, facts) is not None
        if is_fit and isinstance(answer, Mapping):
            return dict(answer), self._varies
        members = self._style(self._format, facts)
        return members, (*self._described(facts, members), *self._varies)

    def _language(self, scope: Scope) -> str:
        if not self._varies:
            return self._languages.default
        return self._languages.choose(scope["headers"])

    def _facts(self, refusal: Refusal, scope: Scope, language: str) -> RefusalFacts:
        texts = self._texts[language]
        return RefusalFacts(
            status=refusal.status,
            error=refusal.error,
            code=refusal.code,
            cause=refusal.cause or refusal.code,
            hint=refusal.hint,
            text=texts.get(refusal.code) or self._texts[ENGLISH][refusal.code],
            scopes=refusal.scopes,
            path=scope["path"],
            language=language,
        )

    def _made(self, refusal: Refusal, scope: Scope, language: str) -> _Body:
        """Return the body of the style, made once."""
        key = (refusal.code, refusal.status, refusal.scopes, language)
        made = self._bodies.get(key)
        if made is None:
            facts = self._facts(refusal, scope, language)
            members = self._style(self._format, facts)
            body, described = encode_json(members, self._media_type)
            made = body, (*described, *self._described(facts, members))
            if len(self._bodies) < _MOST_BODIES:  # an application may make up scopes as it runs
                self._bodies[key] = made
        return made

    def _described(self, facts: RefusalFacts, members: Mapping[str, Any]) -> _Headers:
        """Return ``Content-Language``, where `members` have a text."""
        if "error" in members:
            return ()
        is_there = facts.code in self._texts[facts.language]
        language = facts.language if is_there else ENGLISH
        return ((b"content-language", language.encode("ascii")),)

    def _own(self, facts: RefusalFacts) -> _Body | None:
        """Return the body that `on_refusal` made, None for that of the style."""
        answer = self._answer(facts)
        return None if answer is None else self._encoded(answer, facts)

    def _answer(self, facts: RefusalFacts) -> object:
        function = self._format.on_refusal
        try:
            answer: object = None if function is None else function(facts)
        except Exception as error:  # noqa: BLE001 - the application may raise anything
            self._fail(facts, f"raised {type(error).__name__}", error)
            return None
        if inspect.iscoroutine(answer):
            answer.close()
        return answer

    def _encoded(self, answer: object, facts: RefusalFacts) -> _Body | None:
        try:
            if isinstance(answer, Mapping):
                return encode_json(dict(answer), self._media_type)
            match answer:
                case (bytes() as body, str() as media_type) if _is_media_type(media_type):
                    length = str(len(body)).encode("ascii")
                    described = (b"content-type", media_type.encode("ascii"))
                    return body, (described, (b"content-length", length))
        except Exception as error:  # noqa: BLE001 - the mapping is the application's
            detail = f"returned what JSON cannot hold: {type(error).__name__}"
            self._fail(facts, detail, error)
            return None
        expected = "expected a mapping, (bytes, content type) or None"
        self._fail(facts, f"returned {type(answer).__name__}, {expected}")
        return None

    def _fail(self, facts: RefusalFacts, detail: str, error: Exception | None = None) -> None:
        """Report a fault of `on_refusal`, with the traceback of the 1st, 2nd, 4th, 8th and so on.

        A flood of refused requests must not become a flood of tracebacks.
        """
        self._faults += 1
        if error is not None and self._faults & (self._faults - 1) == 0:
            log_fault(f"on_refusal {detail}", error, ())
        self._report(RefusalBodyFailed(code=facts.code, detail=detail, path=facts.path))


def writer_of(chosen: RefusalFormat, report: Callable[[Event], object]) -> RefusalWriter | None:
    """Return what writes bodies in the format `chosen`; None if they are those of RFC 6750.

    Raises:
        ConfigurationError: `chosen` is no `RefusalFormat`.

    """
    if not isinstance(chosen, RefusalFormat):
        raise ConfigurationError(["refusal is no RefusalFormat, such as RefusalFormat('problem')"])
    return None if chosen.is_default else RefusalWriter(chosen, report)


def _is_media_type(text: str) -> bool:
    return text.isascii() and text.isprintable() and "/" in text.partition(";")[0]


def _rfc6750(_: RefusalFormat, facts: RefusalFacts) -> dict[str, Any]:
    described = {"error_description": facts.hint} if facts.hint else {}
    return {"error": facts.error, **described}


def _problem(chosen: RefusalFormat, facts: RefusalFacts) -> dict[str, Any]:
    """Return the members of RFC 9457, section 3.1, with the code and the scopes as extensions."""
    kind = "about:blank" if chosen.type_base is None else f"{chosen.type_base}{facts.code}"
    title = HTTPStatus(facts.status).phrase if chosen.type_base is None else facts.text
    members = {"type": kind, "title": title, "status": facts.status, "detail": facts.text}
    scopes = {"scope": " ".join(facts.scopes)} if facts.scopes else {}
    return {**members, "code": facts.code, **scopes}


def _detail(_: RefusalFormat, facts: RefusalFacts) -> dict[str, Any]:
    return {"detail": facts.text, "code": facts.code}


def _envelope(chosen: RefusalFormat, facts: RefusalFacts) -> dict[str, Any]:
    code: str | int = chosen.numbers.get(facts.code, facts.code)
    return {"code": code, "msg": facts.text, "data": None}


_STYLES: Final[Mapping[str, Callable[[RefusalFormat, RefusalFacts], dict[str, Any]]]] = {
    "rfc6750": _rfc6750,
    "problem": _problem,
    "detail": _detail,
    "envelope": _envelope,
}
