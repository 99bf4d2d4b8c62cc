"""fastapi-users with bearer transport and JWTStrategy, as its page "JWT" sets it up.

Its user table is a function that knows every id: no database is measured.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from fastapi_users.jwt import decode_jwt

from rivals.apps import _fastapi
from rivals.apps._one import only_algorithm
from rivals.material import USER, Material

bare = _fastapi.bare


@dataclass(slots=True)
class _User:
    id: UUID
    email: str = "someone@shop.example"
    hashed_password: str = ""
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = True


class _Users(BaseUserDatabase[_User, UUID]):
    async def get(self, id: UUID) -> _User:  # noqa: A002 - the base class's name
        return _User(id)


class _Manager(UUIDIDMixin, BaseUserManager[_User, UUID]):
    pass


async def _manager() -> AsyncIterator[_Manager]:
    yield _Manager(_Users())


def _strategy(material: Material) -> JWTStrategy[_User, UUID]:
    return JWTStrategy(
        secret=material.signs_with,
        lifetime_seconds=200,
        token_audience=[material.audience],
        algorithm=only_algorithm(material),
        public_key=material.public_pem or None,
    )


def decoder(material: Material):
    """Return the decoding of `JWTStrategy.read_token`, without its look-up of the user."""
    algorithms = [only_algorithm(material)]

    def decode(token: str) -> dict[str, Any]:
        return decode_jwt(token, material.verifies_with, [material.audience], algorithms)

    return decode


def guarded(material: Material) -> FastAPI:
    """Return the guarded application."""
    return _build(material)


def renewing(material: Material) -> FastAPI:
    """Return an application with its own logout route; JWTStrategy renews nothing."""
    app = _build(material)
    strategy = _strategy(material)

    @app.post("/login")
    async def login() -> dict[str, str]:
        return {"access_token": await strategy.write_token(_User(UUID(USER)))}

    return app


def _build(material: Material) -> FastAPI:
    only_algorithm(material)
    backend = AuthenticationBackend(
        name="jwt",
        transport=BearerTransport(tokenUrl="login"),
        get_strategy=lambda: _strategy(material),
    )
    users = FastAPIUsers[_User, UUID](_manager, [backend])
    current_user = users.current_user(active=True)
    app = FastAPI()
    app.include_router(users.get_auth_router(backend), prefix="/auth")

    @app.get("/me")
    async def me(user: Annotated[_User, Depends(current_user)]) -> dict[str, str]:
        return {"sub": str(user.id)}

    return app
