"""Callbacks: calls of the application's functions, and the log of their faults."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import traceback
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from linqi.errors import ApplicationFault, Unavailable

__all__ = ["invoke", "log_fault", "unexpected_answer"]

_logger = logging.getLogger("linqi")
_LONGEST_MESSAGE: Final = 500
_MOST_ERRORS: Final = 8
_RUN: Final = 4
"""Consecutive characters of a private text that a message must not contain."""
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.|lqr_[A-Za-z0-9_-]{8,}")


async def invoke(
    name: str,
    function: Callable[[Any], Any],
    argument: object,
    *,
    seconds: float | None = None,
    private: Collection[str] = (),
) -> Any:
    """Return the result of ``function(argument)``, awaited if it is awaitable.

    Args:
        name: The name of the function in messages.
        function: The application's function; it may be a coroutine function.
        argument: Its one argument.
        seconds: The longest time for an awaitable result; None sets no limit.
        private: Texts that no log may contain, such as the fields of a login.

    Raises:
        Unavailable: The function raised it, or took longer than `seconds`.
        ApplicationFault: It raised anything else; the log has the traceback.

    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            answer = function(argument)
            return await answer if inspect.isawaitable(answer) else answer
    except Unavailable as error:
        if not _repeats(error.detail, private):
            raise
        detail = f"{name} raised {type(error).__name__}"
        raise Unavailable(detail, retry_after=error.retry_after) from None
    except Exception as error:
        if limit.expired():
            raise Unavailable(f"{name} took more than {seconds:g} s") from None
        log_fault(f"{name} raised", error, private)
        raise ApplicationFault(name, f"raised {type(error).__name__}") from error


def unexpected_answer(name: str, answer: object, expected: str) -> ApplicationFault:
    """Log that the function `name` did not return what is `expected`; return the error."""
    detail = f"returned {type(answer).__name__}, expected {expected}"
    _logger.error("%s %s", name, detail)
    return ApplicationFault(name, detail)


def log_fault(what: str, error: BaseException, private: Collection[str] | None = None) -> None:
    """Log the traceback of `error` at ERROR, as text: files, lines, functions and types.

    A record with ``exc_info`` would expose the variables of every frame, passwords and tokens among
    them, to log handlers. A message that contains any of `private` is left out; with None all
    messages are.
    """
    _logger.error("%s:\n%s", what, "".join(_lines(error, private)).rstrip())


def _lines(error: BaseException, private: Collection[str] | None) -> Iterator[str]:
    for position, (link, found) in enumerate(_chain(error)):
        if position:
            yield f"\n{link}\n\n"
        yield "Traceback (most recent call last):\n"
        yield from traceback.StackSummary.extract(traceback.walk_tb(found.__traceback__)).format()
        yield f"{type(found).__module__}.{type(found).__qualname__}: {_said(found, private)}\n"


def _chain(error: BaseException) -> list[tuple[str, BaseException]]:
    """Return `error`, its causes and the members of groups, the outermost first."""
    found = [("", error)]
    for _, one in found:  # grows during the loop
        if isinstance(one, BaseExceptionGroup):
            found += [("The group above holds:", inner) for inner in one.exceptions]
        if one.__cause__ is not None:
            found.append(("The direct cause of the above:", one.__cause__))
        elif one.__context__ is not None and not one.__suppress_context__:
            found.append(("The above was raised while this was handled:", one.__context__))
        if len(found) >= _MOST_ERRORS:
            break
    return found[:_MOST_ERRORS]


def _said(error: BaseException, private: Collection[str] | None) -> str:
    try:
        text = str(error)[:_LONGEST_MESSAGE]
    except Exception:  # noqa: BLE001 - an error without a readable message is logged too
        return "(its message cannot be read)"
    if private is None or _repeats(text, private):
        return "(its message is left out: it may hold what must not be logged)"
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]


def _repeats(text: str, private: Collection[str]) -> bool:
    """Return whether `text` contains a token, or consecutive characters of a private text."""
    folded = text.casefold()
    return _TOKEN.search(text) is not None or any(
        spelling[start : start + _RUN] in folded
        for value in private
        for spelling in _spellings(value.casefold())
        for start in range(max(1, len(spelling) - _RUN + 1))
    )


def _spellings(value: str) -> set[str]:
    """Return the spellings of `value` in messages: plain, normalised, escaped, percent-encoded."""
    # Imported by the first fault with private texts: 5 ms that no start has to pay.
    import unicodedata
    from urllib.parse import quote

    normal = unicodedata.normalize("NFKC", value)
    return {value, normal, repr(value)[1:-1], ascii(value)[1:-1], quote(value).lower()} - {""}
