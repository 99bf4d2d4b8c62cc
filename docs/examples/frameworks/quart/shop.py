"""A Quart application behind linqi: sign-in, scopes, accounts, sessions, a WebSocket."""

from dataclasses import dataclass

from quart import Quart, abort, request, websocket

from linqi import Person
from linqi.config import build, load
from linqi.errors import InvalidCursor
from linqi.quart import current, current_or_none, optional, protect, public, requires, user


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
    found = USERS.get(form["username"])
    if found is None or found.password != form["password"] or found.disabled:
        return None
    return Person(subject=found.name, scopes=found.scopes, claims={"role": found.role})


def authorize(session):
    """Return the claims of each later access token: a changed role is read here."""
    return {"role": USERS[session.subject].role}


async def load_user(verified):
    """Return the user of a token: asked once per request that wants it."""
    return USERS.get(verified.identity)


app = Quart(__name__)


@app.get("/health")
@public
async def health():
    """Answer anyone."""
    return {"ok": True}


@app.get("/hello")
@optional
async def hello():
    """Greet the caller, if there is one."""
    caller = current_or_none()
    return f"Hello, {caller.identity if caller else 'stranger'}"


@app.get("/me")
async def me():
    """Answer with the caller's name, and the role that the token states."""
    return {"user": (await user()).name, "role": current().read(Claims).role}


@app.get("/orders")
@requires("orders:read")
async def orders():
    """List what a customer ordered."""
    return [{"id": 1}]


@app.put("/me/password")
async def change_password():
    """Change the caller's password: all other sessions of the caller end."""
    caller = current()
    USERS[caller.identity].password = (await request.get_json())["password"]
    await sessions.password_changed(caller.identity, keep=caller.session_id)
    return "", 204


@app.get("/accounts/<name>/sessions")
@requires("admin")
async def list_sessions(name):
    """List the sessions of an account, a page at a time."""
    try:
        page = await sessions.page(name, limit=20, cursor=request.args.get("cursor", ""))
    except InvalidCursor:
        abort(400, "the cursor is not one of ours")
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return {"sessions": rows, "cursor": page.cursor}


@app.delete("/accounts/<name>/sessions/<session_id>")
@requires("admin")
async def end_session(name, session_id):
    """End one session of an account."""
    await sessions.revoke(session_id, user=name)
    return "", 204


@app.patch("/accounts/<name>")
@requires("admin")
async def change_role(name):
    """Change the role of an account: it takes effect at once, and no session ends."""
    USERS[name].role = (await request.get_json())["role"]
    await sessions.refresh_claims(name)
    return "", 204


@app.delete("/accounts/<name>")
@requires("admin")
async def disable(name):
    """Disable an account: all its sessions end."""
    USERS[name].disabled = True
    await sessions.account_disabled(name)
    return "", 204


@app.websocket("/ws")
async def chat():
    """Echo; the guard closes the socket with 4401 when its token or session ends."""
    caller = current()
    while True:
        await websocket.send(f"{caller.identity}: {await websocket.receive()}")


components = build(load("linqi.toml"), authorize_refresh=authorize)
sessions = components.sessions
protect(app, components, authenticate=authenticate, load_user=load_user)
