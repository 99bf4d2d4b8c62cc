"""A shop on Starlette: sign-in by password, scopes, accounts, open routes, a WebSocket."""

import hmac

from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from linqi import Person, RequireScopes
from linqi.starlette import optional, protect, public

ACCOUNTS = {  # your database
    "alice": {
        "password": "correct horse",  # keep a slow hash in its place, such as Argon2
        "scopes": ["orders:read"],
        "role": "customer",
        "active": True,
    },
    "root": {
        "password": "battery staple",
        "scopes": ["orders:read", "admin"],
        "role": "staff",
        "active": True,
    },
}


def authenticate(form):
    """Check a sign-in; None refuses it. Hash passwords slowly, in a thread."""
    account = ACCOUNTS.get(form["username"])
    if account is None or not account["active"]:
        return None
    if not hmac.compare_digest(form["password"].encode(), account["password"].encode()):
        return None
    claims = {"role": account["role"]}
    return Person(subject=form["username"], scopes=account["scopes"], claims=claims)


def authorize(session):
    """Return the claims of each later access token; False ends the session."""
    account = ACCOUNTS[session.subject]
    return {"role": account["role"]} if account["active"] else False


@public
async def health(request):
    """Answer everyone; no token is looked at."""
    return JSONResponse("ok")


@optional
async def product(request):
    """Answer everyone; who signed in has another price."""
    return JSONResponse({"price": 9 if request.user.is_authenticated else 10})


async def me(request):
    """Answer with the caller, and with the role that the token states."""
    return JSONResponse({"user": request.user.identity, "role": request.user.claims["role"]})


@requires("orders:read")  # Starlette's own: 403 as text, without a challenge
async def orders(request):
    """Answer callers whose token has the scope."""
    return JSONResponse(["tea", "ink"])


async def change_password(request):
    """Change the caller's password: all other sessions of the caller end."""
    user = request.user
    ACCOUNTS[user.identity]["password"] = (await request.json())["password"]
    await sessions.password_changed(user.identity, keep=user.session_id or "")
    return Response(status_code=204)


async def change_role(request):
    """Change a role: it takes effect at once, and no session ends."""
    name = request.path_params["name"]
    ACCOUNTS[name]["role"] = (await request.json())["role"]
    await sessions.refresh_claims(name)
    return Response(status_code=204)


async def disable(request):
    """Disable an account: all its sessions end."""
    name = request.path_params["name"]
    ACCOUNTS[name]["active"] = False
    await sessions.account_disabled(name)
    return Response(status_code=204)


async def list_sessions(request):
    """List the sessions of an account, a page at a time."""
    page = await sessions.page(request.path_params["name"], limit=20)
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return JSONResponse({"sessions": rows, "cursor": page.cursor})


async def echo(socket):
    """Echo; the guard closes the socket with 4401 when its token or session ends."""
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{socket.user.identity}: {text}")


admin = [Middleware(RequireScopes, "admin")]  # 403 with the challenge of RFC 6750
app = Starlette(
    routes=[
        Route("/health", health),
        Route("/products/{number:int}", product),
        Route("/me", me),
        Route("/me/password", change_password, methods=["PUT"]),
        Route("/orders", orders),
        Route("/accounts/{name}", change_role, methods=["PATCH"], middleware=admin),
        Route("/accounts/{name}", disable, methods=["DELETE"], middleware=admin),
        Route("/accounts/{name}/sessions", list_sessions, middleware=admin),
        WebSocketRoute("/echo", echo),
    ]
)
sessions = protect(
    app,
    "linqi.toml",
    authenticate=authenticate,
    authorize=authorize,  # for a successor in X-Refresh-Token
    authorize_refresh=authorize,  # for POST /refresh
).sessions
