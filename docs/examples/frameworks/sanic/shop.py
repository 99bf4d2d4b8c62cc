"""A Sanic application behind linqi, on an ASGI server: sign-in, scopes, accounts, sessions."""

import functools

from sanic import Sanic
from sanic.exceptions import NotFound
from sanic.response import empty, json, raw

from linqi import Person, missing_scopes
from linqi.config import build, load, wrap
from linqi.errors import InvalidCursor

USERS = {
    "alice": {"password": "correct horse", "scopes": ["orders:read"], "role": "customer"},
    "root": {"password": "battery staple", "scopes": ["admin"], "role": "staff"},
}


def authenticate(form):
    """Check a sign-in; here belongs your database, with a slow hash."""
    user = USERS.get(form["username"])
    if user is None or user["password"] != form["password"] or user.get("disabled"):
        return None
    return Person(subject=form["username"], scopes=user["scopes"], claims={"role": user["role"]})


def authorize(session):
    """Return the claims of each later access token: a changed role is read here."""
    return {"role": USERS[session.subject]["role"]}


def requires(*scopes):
    """Answer 401 or 403 unless the caller has all scopes."""

    def decorate(handler):
        @functools.wraps(handler)
        async def guarded(request, *arguments, **named):
            refusal = missing_scopes(request.scope, *scopes)
            if refusal is None:
                return await handler(request, *arguments, **named)
            headers = {name.decode(): value.decode() for name, value in refusal.headers}
            kind = headers.pop("content-type")
            return raw(refusal.body, refusal.status, headers, content_type=kind)

        return guarded

    return decorate


def account(name):
    """Return an account; 404 if there is none."""
    if name not in USERS:
        raise NotFound
    return USERS[name]


class Database:
    """What the application opens at its start."""

    is_open = False


sanic_app = Sanic("shop")


@sanic_app.before_server_start
async def open_database(application):
    """Open what the application needs: Sanic's listeners run inside linqi's lifespan."""
    Database.is_open = True


@sanic_app.after_server_stop
async def close_database(application):
    """Close it."""
    Database.is_open = False


@sanic_app.on_request
async def know_the_caller(request):
    """Put the caller where Sanic's handlers look: a `Verified`, or `ANONYMOUS` if public."""
    request.ctx.caller = request.scope["linqi"]


@sanic_app.exception(InvalidCursor)
async def refuse_cursor(request, error):
    """Answer 400 to a cursor that no page gave."""
    return json({"detail": "the cursor is not one of a page"}, 400)


@sanic_app.get("/me")
async def me(request):
    """Answer with the caller's name and role."""
    caller = request.ctx.caller
    return json({"user": caller.identity, "role": caller.claims["role"]})


@sanic_app.get("/orders")
@requires("orders:read")
async def orders(request):
    """List the orders."""
    return json([{"id": 1}])


@sanic_app.put("/me/password")
async def change_password(request):
    """Change the caller's password: all other sessions of the caller end."""
    caller = request.ctx.caller
    USERS[caller.identity]["password"] = request.json["password"]
    await sessions.password_changed(caller.identity, keep=caller.session_id)
    return empty()


@sanic_app.get("/accounts/<name:str>")
@requires("admin")
async def account_sessions(request, name):
    """List the sessions of an account, a page at a time."""
    page = await sessions.page(name, limit=20, cursor=request.args.get("cursor", ""))
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return json({"sessions": rows, "cursor": page.cursor})


@sanic_app.patch("/accounts/<name:str>")
@requires("admin")
async def change_role(request, name):
    """Change the role of an account: it takes effect at once, and no session ends."""
    account(name)["role"] = request.json["role"]
    await sessions.refresh_claims(name)
    return empty()


@sanic_app.delete("/accounts/<name:str>")
@requires("admin")
async def disable(request, name):
    """Disable an account: all its sessions end."""
    account(name)["disabled"] = True
    await sessions.account_disabled(name)
    return empty()


@sanic_app.delete("/accounts/<name:str>/sessions/<session_id:str>")
@requires("admin")
async def end_session(request, name, session_id):
    """End one session."""
    await sessions.revoke(session_id, user=name)
    return empty()


@sanic_app.get("/health")
async def health(request):
    """Answer anyone: the public path of linqi.toml."""
    return json({"ok": True})


components = build(load("linqi.toml"), authorize_refresh=authorize)
sessions = components.sessions
app = wrap(sanic_app, components, authenticate=authenticate)
