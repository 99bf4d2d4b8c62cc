"""A Litestar application behind linqi: sign-in, scopes, accounts, sessions, a WebSocket."""

from dataclasses import dataclass

from litestar import Litestar, WebSocket, delete, get, patch, put, websocket
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.params import FromPath, FromQuery, JSONBody

from linqi import Person, Verified
from linqi.config import build, load
from linqi.errors import InvalidCursor
from linqi.litestar import LinqiPlugin, requires


@dataclass
class User:
    """The application's own user; here belongs your database."""

    name: str
    password: str
    scopes: list[str]
    role: str
    disabled: bool = False


@dataclass
class Claims:
    """The claims of the application, typed."""

    role: str


USERS = {
    "alice": User("alice", "correct horse", ["orders:read"], "customer"),
    "root": User("root", "battery staple", ["admin"], "staff"),
}


def authenticate(form):
    """Check a sign-in; hash passwords with a slow hash, in a thread."""
    user = USERS.get(form["username"])
    if user is None or user.password != form["password"] or user.disabled:
        return None
    return Person(subject=user.name, scopes=user.scopes, claims={"role": user.role})


def authorize(session):
    """Return the claims of each later access token: a changed role is read here."""
    return {"role": USERS[session.subject].role}


async def load_user(verified: Verified) -> User | None:
    """Return the user of a token: asked once per request that wants it."""
    return USERS.get(verified.identity)


@get("/health", public=True)
async def health() -> dict[str, bool]:
    """Answer anyone."""
    return {"ok": True}


@get("/hello", optional=True)
async def hello(current_or_none: NamedDependency[Verified | None]) -> str:
    """Greet the caller, if there is one."""
    return f"Hello, {current_or_none.identity if current_or_none else 'stranger'}"


@get("/me")
async def me(current: NamedDependency[Verified], user: NamedDependency[User]) -> dict[str, str]:
    """Answer with the caller's name, and the role that the token states."""
    return {"user": user.name, "role": current.read(Claims).role}


@get("/orders", guards=[requires("orders:read")])
async def orders() -> list[dict[str, int]]:
    """List what a customer ordered."""
    return [{"id": 1}]


@put("/me/password", status_code=204)
async def change_password(
    current: NamedDependency[Verified], data: JSONBody[dict[str, str]]
) -> None:
    """Change the caller's password: all other sessions of the caller end."""
    USERS[current.identity].password = data["password"]
    await sessions.password_changed(current.identity, keep=current.session_id or "")


@get("/accounts/{name:str}/sessions", guards=[requires("admin")])
async def list_sessions(name: FromPath[str], cursor: FromQuery[str] = "") -> dict[str, object]:
    """List the sessions of an account, a page at a time."""
    try:
        page = await sessions.page(name, limit=20, cursor=cursor)
    except InvalidCursor as error:
        raise ClientException("the cursor is not one of ours") from error
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return {"sessions": rows, "cursor": page.cursor}


@delete("/accounts/{name:str}/sessions/{session_id:str}", guards=[requires("admin")])
async def end_session(name: FromPath[str], session_id: FromPath[str]) -> None:
    """End one session of an account."""
    await sessions.revoke(session_id, user=name)


@patch("/accounts/{name:str}", guards=[requires("admin")], status_code=204)
async def change_role(name: FromPath[str], data: JSONBody[dict[str, str]]) -> None:
    """Change the role of an account: it takes effect at once, and no session ends."""
    USERS[name].role = data["role"]
    await sessions.refresh_claims(name)


@delete("/accounts/{name:str}", guards=[requires("admin")])
async def disable(name: FromPath[str]) -> None:
    """Disable an account: all its sessions end."""
    USERS[name].disabled = True
    await sessions.account_disabled(name)


@websocket("/ws")
async def chat(socket: WebSocket, current: NamedDependency[Verified]) -> None:
    """Echo; the guard closes the socket with 4401 when its token or session ends."""
    await socket.accept()
    async for text in socket.iter_data():
        await socket.send_text(f"{current.identity}: {text}")


components = build(load("linqi.toml"), authorize_refresh=authorize)
sessions = components.sessions
app = Litestar(
    [
        health,
        hello,
        me,
        orders,
        change_password,
        list_sessions,
        end_session,
        change_role,
        disable,
        chat,
    ],
    plugins=[
        LinqiPlugin(components, authenticate=authenticate, load_user=load_user, public_docs=True)
    ],
    openapi_config=OpenAPIConfig("Shop", "1.0.0", render_plugins=[SwaggerRenderPlugin()]),
)
