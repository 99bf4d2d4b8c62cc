"""The scopes that the tools of one MCP server need."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from linqi.asgi.guards import check_scopes
from linqi.errors import ConfigurationError, LinqiError
from linqi.mcp.sdk import auth_context_var

__all__ = ["MissingScope", "ToolScopes"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class MissingScope(LinqiError):
    """Raised where a function is called whose scopes the caller's token lacks."""

    code: ClassVar[str] = "insufficient_scope"


class ToolScopes:
    """The scopes that the tools of one MCP server need.

    Each function checks them itself when it is called, by whatever way. `protect` also knows them
    by the tool's name: it answers 403 ``insufficient_scope`` before the tool is called, so that
    the client asks for the scopes and calls again.
    """

    def __init__(self) -> None:
        self._needed: dict[str, tuple[str, ...]] = {}

    def requires(self, *scopes: str, tool: str | None = None) -> Callable[[_Function], _Function]:
        """Return a decorator for the function of a tool, resource or prompt.

        It stands below the decorator of the server, which registers the function that checks.

        Args:
            scopes: The scopes that the token must have, all of them, at least one.
            tool: The name of the tool if it is not the function's.

        Raises:
            ConfigurationError: No scope is given, one is not a scope name, or another function
                has the same name.

        """
        check_scopes("requires", scopes)

        def mark(function: _Function) -> _Function:
            name = tool or function.__name__
            if name in self._needed:
                raise ConfigurationError([f"two tools are called {name!r}; pass tool= to requires"])
            self._needed[name] = scopes
            checked: _Function = _checked(function, scopes)
            return checked

        return mark

    def needed_by(self, tools: Iterable[str]) -> tuple[str, ...]:
        """Return the scopes that calls of `tools` need, each once."""
        found = (scope for name in tools for scope in self._needed.get(name, ()))
        return tuple(dict.fromkeys(found))

    @property
    def is_empty(self) -> bool:
        """Whether no tool needs a scope."""
        return not self._needed


def _checked(function: Any, scopes: tuple[str, ...]) -> Any:
    """Return `function` with a check of the caller before it, with the same signature."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            _check(scopes)
            return await function(*args, **kwargs)

        return checked

    @functools.wraps(function)
    def checked_at_once(*args: Any, **kwargs: Any) -> Any:
        _check(scopes)
        return function(*args, **kwargs)

    return checked_at_once


def _check(scopes: tuple[str, ...]) -> None:
    user = auth_context_var.get()
    had = () if user is None else user.access_token.scopes
    if not set(scopes) <= set(had):
        raise MissingScope(f"the access token lacks a scope of {' '.join(scopes)}")
