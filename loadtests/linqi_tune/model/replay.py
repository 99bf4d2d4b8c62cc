"""The histories of persons, replayed under a rule: when each had to sign in again."""

from __future__ import annotations

import itertools
import math
import random
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from linqi_tune.model.session_rule import SessionRule

__all__ = ["Cause", "ForcedSignIn", "LongPauses", "PersonPauses", "replay", "replay_tokens"]

Cause: TypeAlias = Literal["savable", "beyond", "capped"]
"""Why a token was not renewed: the pause ended after it expired, though it was shorter than the
lifetime, so that a longer buffer saves it; the pause was at least as long as the lifetime; or the
session had reached its end."""

_GOLDEN: Final = 0.6180339887498949
_PLASTIC: Final = 0.7548776662466927
"""Multiples of an irrational number, modulo 1, are spread evenly over any number of persons."""

_STEP: Final = 1.3
_LEAST: Final = 1e-3


class ForcedSignIn(NamedTuple):
    """A request of a person that came without a live token.

    Attributes:
        person: The index of the person.
        at: The instant of the request, in seconds since the log began.
        pause: The seconds since the person's request before it.

    """

    person: int
    at: float
    pause: float
    cause: Cause


class PersonPauses(NamedTuple):
    """The pauses of one person that can end a token: each from its beginning to its end."""

    person: int
    pages: array[float]
    pauses: Sequence[tuple[float, float]]


class LongPauses:
    """The pauses of persons above any length.

    Lists are kept for lengths a factor of 1.3 apart, each made once from a longer one.
    """

    def __init__(self, pages: Sequence[array[float]]) -> None:
        self.pages = pages
        self._lists: dict[int, list[PersonPauses]] = {}

    def above(self, seconds: float) -> list[PersonPauses]:
        """Return at least the pauses that are longer than `seconds`, of all persons."""
        place = math.floor(math.log(max(seconds, _LEAST)) / math.log(_STEP))
        if place not in self._lists:
            longest = max((other for other in self._lists if other < place), default=None)
            if longest is None:
                longer = [PersonPauses(n, own, _pauses(own)) for n, own in enumerate(self.pages)]
            else:
                longer = self._lists[longest]
            least = _STEP**place
            self._lists[place] = [
                PersonPauses(n, own, [(a, b) for a, b in pauses if b - a > least])
                for n, own, pauses in longer
            ]
        return self._lists[place]


def _pauses(pages: array[float]) -> list[tuple[float, float]]:
    return list(itertools.pairwise(pages))


def replay(
    persons: Sequence[PersonPauses], rule: SessionRule, draw: float = 0.0
) -> list[ForcedSignIn]:
    """Return the sign-ins that `rule` forces, person by person.

    The first request of a person is a sign-in of its own accord and starts the session. A token is
    expired at the exact second (``exp == now``). On the grid no token needs to be followed, so that
    the time that this takes grows with the long pauses and not with the requests.

    Args:
        persons: Their pauses, the ones above the buffer at least.
        rule: Applied as the middleware does (``linqi.sessions.renewal``), without rounding to whole
            seconds.
        draw: 0 to 1; moves the grid phases and the session ends of all persons.

    """
    found: list[ForcedSignIn] = []
    for person in persons:
        # A pause above the buffer, or a session's end, is needed to end a token.
        if person.pauses or person.pages[-1] - person.pages[0] >= rule.lifetime:
            if rule.policy == "grid":
                _on_grid(person, rule, draw, found)
            else:
                _follow(person.person, person.pages, rule, draw, found)
    return found


def replay_tokens(
    pages: Sequence[array[float]], rule: SessionRule, draw: float = 0.0
) -> tuple[list[ForcedSignIn], int]:
    """Return what `replay` returns, and the number of renewals, by following each token."""
    found: list[ForcedSignIn] = []
    renewals = sum(_follow(n, own, rule, draw, found) for n, own in enumerate(pages))
    return found, renewals


def _length_and_phase(n: int, rule: SessionRule, draw: float) -> tuple[float, float]:
    """Return the life of the sessions of person `n`, and the phase of its grid."""
    length = rule.session_length((n * _PLASTIC + draw) % 1.0)
    return length, (n * _GOLDEN + draw) % 1.0 * rule.period


def _on_grid(
    person: PersonPauses, rule: SessionRule, draw: float, found: list[ForcedSignIn]
) -> None:
    """Replay pause by pause.

    After each request the token is anchored at the last grid point, or at the sign-in if that came
    later, and lives one lifetime from there. At least the buffer is left, so only longer pauses
    can end it.
    """
    n, pages, pauses = person
    lifetime, period = rule.lifetime, rule.period
    length, phase = _length_and_phase(n, rule, draw)
    signed_in = pages[0]
    for left, back in pauses:
        if left - signed_in >= length:
            signed_in = _ends(person, signed_in, left, length, found)
        remaining = lifetime - (back - left)
        cause: Cause
        if remaining <= 0:
            cause = "beyond"
        # At the grid point itself a token is not near expiry yet: its anchor is the point before.
        elif left - signed_in >= remaining and ((left - phase) % period or period) >= remaining:
            cause = "savable"
        elif back - signed_in >= length:
            cause = "capped"
        else:
            continue
        found.append(ForcedSignIn(n, back, back - left, cause))
        signed_in = back
    _ends(person, signed_in, pages[-1], length, found)


def _ends(
    person: PersonPauses, signed_in: float, until: float, length: float, found: list[ForcedSignIn]
) -> float:
    """Append the sign-ins at the first page after each end of a session; return the last one."""
    pages = person.pages
    while until - signed_in >= length:
        place = bisect_left(pages, signed_in + length)
        signed_in = pages[place]
        pause = signed_in - pages[place - 1]
        found.append(ForcedSignIn(person.person, signed_in, pause, "capped"))
    return signed_in


def _follow(
    n: int, pages: array[float], rule: SessionRule, draw: float, found: list[ForcedSignIn]
) -> int:
    """Replay token by token, append the forced sign-ins, and return the number of renewals."""
    length, phase = _length_and_phase(n, rule, draw)
    rng = random.Random(n * _GOLDEN + draw)  # noqa: S311 - a simulation
    place = renewals = 0
    due = end = expires = -math.inf
    while place < len(pages):
        at = pages[place]
        if at >= expires:
            if place:
                pause = at - pages[place - 1]
                found.append(ForcedSignIn(n, at, pause, _cause(pause, rule, expires >= end)))
            end, due, expires = at + length, -math.inf, -math.inf
        next_due, successor = _successor(rule, at, due, phase, rng)
        successor = min(successor, end)
        if successor <= expires:  # no successor outlives the session
            place = bisect_left(pages, expires, place)
            continue
        renewals += expires > at
        due, expires = min(next_due, successor - rule.buffer), successor
        place = bisect_right(pages, due, place + 1)
    return renewals


def _successor(
    rule: SessionRule, at: float, due: float, phase: float, rng: random.Random
) -> tuple[float, float]:
    """Return when a token made at `at` is due, and when it expires.

    `due`: when the token before it was due; before any time if it is the first of its session.
    """
    is_first = due == -math.inf
    if rule.policy == "grid":
        point = at - (at - phase) % rule.period
        return point + rule.period, (at if is_first else point) + rule.lifetime
    starts, life = at, rule.lifetime
    if rule.policy == "jitter":
        life -= rng.random() * rule.jitter_width * rule.period
        starts = at if is_first else due
    return starts + life - rule.buffer, starts + life


def _cause(pause: float, rule: SessionRule, is_end: bool) -> Cause:
    if pause >= rule.lifetime:
        return "beyond"
    return "capped" if is_end else "savable"
