"""FastAPI applications that differ only in what decodes the token.

As FastAPI's tutorial "OAuth2 with Password (and hashing), Bearer with JWT tokens" sets it up.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer

from rivals.material import USER

Decoder = Callable[[str], Mapping[str, Any]]


def bare() -> FastAPI:
    """Return the application without a guard."""
    app = FastAPI()

    @app.get("/me")
    async def me() -> dict[str, str]:
        return {"sub": USER}

    return app


def guarded(decode: Decoder, *refusals: type[Exception]) -> FastAPI:
    """Return the application behind a dependency that calls `decode`."""
    app = FastAPI()
    bearer = OAuth2PasswordBearer(tokenUrl="token")

    async def current_user(token: Annotated[str, Depends(bearer)]) -> str:
        try:
            return str(decode(token)["sub"])
        except refusals as error:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from error

    @app.get("/me")
    async def me(user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
        return {"sub": user}

    return app
