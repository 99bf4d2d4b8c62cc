"""The callback by which an application checks a login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from linqi._callbacks import invoke, unexpected_answer
from linqi.errors import InvalidSubject
from linqi.sessions._claims import subject_fault

__all__ = ["Authenticate", "Person", "authenticated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The user who signed in.

    Attributes:
        subject: The ``sub`` of the session's tokens.
        claims: Further claims of every access token of the session.
        scopes: The scopes of the session.

    """

    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    scopes: Sequence[str] = ()


Authenticate: TypeAlias = Callable[[Mapping[str, str]], Person | Awaitable[Person | None] | None]
"""Checks the fields of a login, which include ``username`` and ``password``; None refuses.

Hash the password in a thread, because that takes tens of milliseconds, and also for unknown users.
Raise `linqi.errors.Unavailable` if the user directory cannot be reached: the client gets 503. Any
other exception is a programming error: the client gets 500, and the traceback is logged."""


async def authenticated(authenticate: Authenticate, form: Mapping[str, str]) -> Person | None:
    """Return the user who signed in with the fields of `form`; the application decides."""
    person = await invoke("authenticate", authenticate, form, private=form.values())
    if person is None:
        return None
    if not isinstance(person, Person):
        raise unexpected_answer("authenticate", person, "a linqi.Person, or None to refuse")
    if not isinstance(person.subject, str):
        raise unexpected_answer("authenticate", person.subject, "Person.subject to be a string")
    if fault := subject_fault(person.subject):
        raise InvalidSubject(f"authenticate returned a Person whose subject is {fault}")
    return person
