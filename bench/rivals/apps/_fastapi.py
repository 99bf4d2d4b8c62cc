"""FastAPI applications that differ only in what decodes the token.

As FastAPI's tutorial "OAuth2 with Password (and hashing), Bearer with JWT tokens" sets it up.
"""

from collections.abc import Callable, Mapping
from operator import getitem
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer

from rivals.material import TENANT, USER

Decoder = Callable[[str], Mapping[str, Any]]


def bare() -> FastAPI:
    """Return the application without a guard."""
    app = FastAPI()

    @app.get("/me")
    async def me() -> dict[str, str]:
        return {"sub": USER}

    return app


def guarded(
    decode: Callable[[str], Any],
    *refusals: type[Exception],
    read: Callable[[Any, str], Any] = getitem,
) -> FastAPI:
    """Return the application behind a dependency that calls `decode`.

    `read` returns a claim of what `decode` returned, by its name.
    """
    bearer = OAuth2PasswordBearer(tokenUrl="token")

    async def current_claims(token: Annotated[str, Depends(bearer)]) -> Any:
        try:
            return decode(token)
        except refusals as error:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from error

    return guarded_by(current_claims, read)


def guarded_by(current_claims: Callable[..., Any], read: Callable[[Any, str], Any]) -> FastAPI:
    """Return the application whose dependency `current_claims` returns the claims."""
    app = FastAPI()

    @app.get("/me")
    async def me(claims: Annotated[Any, Depends(current_claims)]) -> dict[str, str]:
        return {"sub": str(read(claims, "sub"))}

    @app.get("/tenant")
    async def in_tenant(claims: Annotated[Any, Depends(current_claims)]) -> dict[str, str]:
        if read(claims, "tenant") != TENANT:
            raise HTTPException(403)
        return {"sub": str(read(claims, "sub"))}

    return app
