"""A BlackSheep application behind linqi: sign-in, scopes, accounts, sessions."""

import functools

from blacksheep import Application, Content, Request, Response, Router, json, no_content
from blacksheep.exceptions import NotFound
from guardpost import AuthenticationHandler, Identity

from linqi import Person, Verified, missing_scopes
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


class Caller(AuthenticationHandler):
    """Sets `request.user`, which BlackSheep's own `@auth` reads."""

    async def authenticate(self, context):
        """Return the caller that linqi verified; None on public paths."""
        verified = context.scope.get("linqi")
        known = isinstance(verified, Verified)
        context.user = Identity(dict(verified.claims), "linqi") if known else None
        return context.user


def requires(*scopes):
    """Answer 401 or 403 unless the caller has all scopes; the handler takes `request` first."""

    def decorate(handler):
        @functools.wraps(handler)
        async def guarded(request, *arguments):
            refusal = missing_scopes(request.scope, *scopes)
            if refusal is None:
                return await handler(request, *arguments)
            headers = dict(refusal.headers)
            body = Content(headers.pop(b"content-type"), refusal.body)
            del headers[b"content-length"]  # BlackSheep adds both
            return Response(refusal.status, [*headers.items()], body)

        return guarded

    return decorate


def account(name):
    """Return an account; 404 if there is none."""
    if name not in USERS:
        raise NotFound()
    return USERS[name]


class Database:
    """What the application opens at its start."""

    is_open = False


router = Router()
blacksheep_app = Application(router=router)
blacksheep_app.use_authentication().add(Caller())
blacksheep_app.use_authorization()


@blacksheep_app.on_start
async def open_database(application):
    """Open what the application needs: BlackSheep's lifespan runs inside linqi's."""
    Database.is_open = True


@blacksheep_app.on_stop
async def close_database(application):
    """Close it."""
    Database.is_open = False


@blacksheep_app.exception_handler(InvalidCursor)
async def refuse_cursor(application, request, error):
    """Answer 400 to a cursor that no page gave."""
    return json({"detail": "the cursor is not one of a page"}, 400)


@router.get("/me")
async def me(request: Request):
    """Answer with the caller's name and role."""
    caller = request.user
    return json({"user": caller.sub, "role": caller["role"]})


@router.get("/orders")
@requires("orders:read")
async def orders(request: Request):
    """List the orders."""
    return json([{"id": 1}])


@router.put("/me/password")
async def change_password(request: Request):
    """Change the caller's password: all other sessions of the caller end."""
    caller = request.scope["linqi"]
    USERS[caller.identity]["password"] = (await request.json())["password"]
    await sessions.password_changed(caller.identity, keep=caller.session_id)
    return no_content()


@router.get("/accounts/{name}")
@requires("admin")
async def account_sessions(request: Request, name: str, cursor: str = ""):
    """List the sessions of an account, a page at a time."""
    page = await sessions.page(name, limit=20, cursor=cursor)
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return json({"sessions": rows, "cursor": page.cursor})


@router.patch("/accounts/{name}")
@requires("admin")
async def change_role(request: Request, name: str):
    """Change the role of an account: it takes effect at once, and no session ends."""
    account(name)["role"] = (await request.json())["role"]
    await sessions.refresh_claims(name)
    return no_content()


@router.delete("/accounts/{name}")
@requires("admin")
async def disable(request: Request, name: str):
    """Disable an account: all its sessions end."""
    account(name)["disabled"] = True
    await sessions.account_disabled(name)
    return no_content()


@router.delete("/accounts/{name}/sessions/{session_id}")
@requires("admin")
async def end_session(request: Request, name: str, session_id: str):
    """End one session."""
    await sessions.revoke(session_id, user=name)
    return no_content()


@router.get("/health")
async def health():
    """Answer anyone: the public path of linqi.toml."""
    return json({"ok": True})


components = build(load("linqi.toml"), authorize_refresh=authorize)
sessions = components.sessions
app = wrap(blacksheep_app, components, authenticate=authenticate)
