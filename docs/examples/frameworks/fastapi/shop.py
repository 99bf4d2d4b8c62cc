"""A shop on FastAPI: sign-in by password, scopes, its own accounts, sessions, a WebSocket."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException, WebSocket

from linqi import Person, Verified
from linqi.errors import InvalidCursor
from linqi.fastapi import (
    CurrentUser,
    OptionalUser,
    load_user,
    optional,
    protect,
    public,
    requires,
)


@dataclass
class Account:
    """A user as this shop knows it; here belongs your database."""

    name: str
    password: str  # keep a slow hash in its place, such as Argon2
    scopes: list[str]
    role: str
    disabled: bool = False


@dataclass
class Claims:
    """The claims of this application, typed."""

    role: str


ACCOUNTS = {
    "alice": Account("Alice", "correct horse", ["orders:read"], "customer"),
    "root": Account("Root", "battery staple", ["orders:read", "admin"], "staff"),
}


def authenticate(form: Mapping[str, str]) -> Person | None:
    """Check a sign-in; None refuses it. Hash passwords slowly, in a thread."""
    account = ACCOUNTS.get(form["username"])
    if account is None or account.disabled:
        return None
    if not hmac.compare_digest(form["password"].encode(), account.password.encode()):
        return None
    claims = {"role": account.role}
    return Person(subject=form["username"], scopes=account.scopes, claims=claims)


def authorize(session: Any) -> dict[str, str] | bool:
    """Return the claims of each later access token; False ends the session."""
    account = ACCOUNTS[session.subject]
    return False if account.disabled else {"role": account.role}


app = FastAPI(title="Shop")
sessions = protect(
    app,
    "linqi.toml",
    authenticate=authenticate,
    authorize=authorize,  # for a successor in X-Refresh-Token
    authorize_refresh=authorize,  # for POST /refresh
    public_docs=True,
    scopes={"orders:read": "See orders", "admin": "Manage accounts"},
).sessions


def account_of(verified: Verified) -> Account | None:
    """Load the account of a verified token, once per request; None is 401."""
    return ACCOUNTS.get(verified.identity)


Me = Annotated[Account, Depends(load_user(account_of))]
Admin = Annotated[Verified, Depends(requires("admin"))]


@app.get("/health")
@public
async def health() -> str:
    """Answer everyone; no token is looked at."""
    return "ok"


@app.get("/products/{number}")
@optional
async def product(number: int, user: OptionalUser) -> dict[str, int]:
    """Answer everyone; who signed in has another price."""
    return {"number": number, "price": 9 if user else 10}


@app.get("/me")
async def me(account: Me, user: CurrentUser) -> dict[str, str]:
    """Answer with the account, and with the role that the token states."""
    return {"name": account.name, "role": user.read(Claims).role}


@app.get("/orders", dependencies=[Depends(requires("orders:read"))])
async def orders() -> list[str]:
    """Answer callers whose token has the scope."""
    return ["tea", "ink"]


@app.put("/me/password", status_code=204)
async def change_password(
    account: Me, user: CurrentUser, password: Annotated[str, Body(embed=True)]
) -> None:
    """Change the caller's password: all other sessions of the caller end."""
    account.password = password
    await sessions.password_changed(user.identity, keep=user.session_id or "")


@app.patch("/accounts/{name}", status_code=204)
async def change_role(name: str, role: Annotated[str, Body(embed=True)], admin: Admin) -> None:
    """Change a role: it takes effect at once, and no session ends."""
    ACCOUNTS[name].role = role
    await sessions.refresh_claims(name)


@app.delete("/accounts/{name}", status_code=204)
async def disable(name: str, admin: Admin) -> None:
    """Disable an account: all its sessions end."""
    ACCOUNTS[name].disabled = True
    await sessions.account_disabled(name)


@app.get("/accounts/{name}/sessions")
async def list_sessions(name: str, admin: Admin, cursor: str = "") -> dict[str, object]:
    """List the sessions of an account, a page at a time."""
    try:
        page = await sessions.page(name, limit=20, cursor=cursor)
    except InvalidCursor as error:
        raise HTTPException(400, "the cursor is not one of ours") from error
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return {"sessions": rows, "cursor": page.cursor}


@app.delete("/accounts/{name}/sessions/{session_id}", status_code=204)
async def end_session(name: str, session_id: str, admin: Admin) -> None:
    """End one session of an account."""
    await sessions.revoke(session_id, user=name)


@app.websocket("/echo")
async def echo(socket: WebSocket, user: CurrentUser) -> None:
    """Echo; the guard closes the socket with 4401 when its token or session ends."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{user.identity}: {text}")
