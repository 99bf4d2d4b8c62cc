"""A Falcon application behind linqi: sign-in, scopes, accounts, sessions."""

import falcon
import falcon.asgi

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
    """Return a hook that answers 401 or 403 unless the caller has all scopes."""

    async def check(request, response, resource, params):
        refusal = missing_scopes(request.scope, *scopes)
        if refusal is not None:
            headers = {name.decode(): value.decode() for name, value in refusal.headers}
            raise falcon.HTTPStatus(refusal.status, headers, refusal.body.decode())

    return check


def account(name):
    """Return an account; 404 if there is none."""
    if name not in USERS:
        raise falcon.HTTPNotFound
    return USERS[name]


async def refuse_cursor(request, response, error, params):
    """Answer 400 to a cursor that no page gave."""
    raise falcon.HTTPBadRequest(description="the cursor is not one of a page")


class Me:
    """Who calls."""

    async def on_get(self, request, response):
        """Answer with the caller's name and role."""
        caller = request.scope["linqi"]
        response.media = {"user": caller.identity, "role": caller.claims["role"]}


class Orders:
    """What a customer ordered."""

    @falcon.before(requires("orders:read"))
    async def on_get(self, request, response):
        """List the orders."""
        response.media = [{"id": 1}]


class Password:
    """The caller's own password."""

    async def on_put(self, request, response):
        """Change it: all other sessions of the caller end."""
        caller = request.scope["linqi"]
        USERS[caller.identity]["password"] = (await request.get_media())["password"]
        await sessions.password_changed(caller.identity, keep=caller.session_id)
        response.status = 204


@falcon.before(requires("admin"))
class Account:
    """One account, for administrators."""

    async def on_get(self, request, response, name):
        """List its sessions, a page at a time."""
        page = await sessions.page(name, limit=20, cursor=request.get_param("cursor", default=""))
        rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
        response.media = {"sessions": rows, "cursor": page.cursor}

    async def on_patch(self, request, response, name):
        """Change its role: it takes effect at once, and no session ends."""
        account(name)["role"] = (await request.get_media())["role"]
        await sessions.refresh_claims(name)
        response.status = 204

    async def on_delete(self, request, response, name):
        """Disable it: all its sessions end."""
        account(name)["disabled"] = True
        await sessions.account_disabled(name)
        response.status = 204


@falcon.before(requires("admin"))
class AccountSession:
    """One session, for administrators."""

    async def on_delete(self, request, response, name, session_id):
        """End it."""
        await sessions.revoke(session_id, user=name)
        response.status = 204


class Health:
    """The public path of linqi.toml."""

    async def on_get(self, request, response):
        """Answer anyone."""
        response.media = {"ok": True}


class Database:
    """Falcon's lifespan: it runs inside linqi's."""

    is_open = False

    async def process_startup(self, scope, event):
        """Open what the application needs."""
        Database.is_open = True

    async def process_shutdown(self, scope, event):
        """Close it."""
        Database.is_open = False


falcon_app = falcon.asgi.App(middleware=[Database()])
falcon_app.add_route("/me", Me())
falcon_app.add_route("/orders", Orders())
falcon_app.add_route("/me/password", Password())
falcon_app.add_route("/accounts/{name}", Account())
falcon_app.add_route("/accounts/{name}/sessions/{session_id}", AccountSession())
falcon_app.add_route("/health", Health())
falcon_app.add_error_handler(InvalidCursor, refuse_cursor)

components = build(load("linqi.toml"), authorize_refresh=authorize)
sessions = components.sessions
app = wrap(falcon_app, components, authenticate=authenticate)
