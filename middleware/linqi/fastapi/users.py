"""The application's own user of a request, as a dependency."""

# Without postponed annotations: FastAPI reads them where `adapted` is no global name.
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar, get_type_hints, overload

from fastapi import Depends
from starlette.requests import HTTPConnection

from linqi.errors import ConfigurationError, TokenError
from linqi.fastapi.dependencies import CurrentUser
from linqi.fastapi.refused import refused
from linqi.jose.verified import Verified

__all__ = ["load_user"]

_User = TypeVar("_User")


@overload
def load_user(
    loader: Callable[..., Awaitable[_User | None]],
) -> Callable[..., Awaitable[_User]]: ...
@overload
def load_user(loader: Callable[..., _User | None]) -> Callable[..., Awaitable[_User]]: ...
def load_user(loader: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return a dependency that gives the application's own user, loaded once per request.

    ```python
    async def load(verified: Verified, db: Database) -> Account | None: ...

    Account_ = Annotated[Account, Depends(load_user(load))]
    ```

    A parameter of type `Verified` receives the caller; all others are FastAPI's, such as
    dependencies. A plain function runs in a thread, as in all of FastAPI. None refuses with 401
    ``invalid_token``: the user is no longer there. `linqi.errors.Unavailable` is answered 503;
    any other exception is the application's own.

    Args:
        loader: Returns the user of a verified token, or None.

    Raises:
        ConfigurationError: `loader` is a generator, or has no parameter of type `Verified`.

    """
    adapted = _adapted(loader)

    async def user(connection: HTTPConnection, found: Annotated[Any, Depends(adapted)]) -> Any:
        if found is None:
            raise refused(connection, TokenError("the loader of the user returned None"))
        return found

    return user


def _adapted(loader: Callable[..., Any]) -> Callable[..., Any]:
    """Return `loader` with `CurrentUser` for the type `Verified`."""
    name = getattr(loader, "__name__", repr(loader))
    if inspect.isgeneratorfunction(loader) or inspect.isasyncgenfunction(loader):
        raise ConfigurationError([f"the loader {name} yields; return the user"])
    hints = get_type_hints(loader, include_extras=True)
    parameters = []
    for each in inspect.signature(loader).parameters.values():
        hint = hints.get(each.name, each.annotation)
        parameters.append(each.replace(annotation=CurrentUser if hint is Verified else hint))
    if all(each.annotation is not CurrentUser for each in parameters):
        raise ConfigurationError([f"the loader {name} has no parameter of type linqi.Verified"])
    if inspect.iscoroutinefunction(loader):

        @functools.wraps(loader)
        async def adapted(**values: Any) -> Any:
            return await loader(**values)

    else:

        @functools.wraps(loader)
        def adapted(**values: Any) -> Any:
            return loader(**values)

    del adapted.__wrapped__  # FastAPI would read its annotations
    adapted.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return adapted
