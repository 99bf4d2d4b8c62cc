"""Accounts over dual tokens: a changed password, a disabled account, a changed role."""

import asyncio
import hmac

import msgspec
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linqi import (
    JWTMiddleware,
    KeySet,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    SQLiteStore,
    Verifier,
)
from linqi.errors import InvalidCursor

users = {  # your database
    "alice": {"password": "correct horse", "role": "clerk", "is_active": True},
    "root": {"password": "battery staple", "role": "admin", "is_active": True},
}


class Claims(msgspec.Struct):
    """The claims that this application reads."""

    sub: str
    sid: str
    role: str


async def authenticate(form):
    """Check a name and a password; a disabled account cannot sign in."""
    await asyncio.sleep(0)  # a slow hash, in a thread
    user = users.get(form["username"])
    if user is None or not user["is_active"]:
        return None
    if not hmac.compare_digest(form["password"].encode(), user["password"].encode()):
        return None
    return Person(subject=form["username"], claims={"role": user["role"]})


async def authorize(session):
    """Return the claims of the next access token; False ends the session."""
    user = users[session.subject]
    return {"role": user["role"]} if user["is_active"] else False


def is_admin(request):
    """Return whether the caller is an administrator now."""
    return request.user.read(Claims).role == "admin"


async def me(request):
    """Show who called."""
    claims = request.user.read(Claims)
    return JSONResponse({"user": claims.sub, "role": claims.role})


async def change_password(request):
    """Change the caller's password: this session stays, all others end."""
    claims = request.user.read(Claims)
    users[claims.sub]["password"] = (await request.json())["password"]
    await sessions.password_changed(claims.sub, keep=claims.sid)
    return Response(status_code=204)


async def change_role(request):
    """Change a role: it takes effect with the next request, and no one is signed out."""
    name = request.path_params["name"]
    if not is_admin(request):
        return Response(status_code=403)
    users[name]["role"] = (await request.json())["role"]  # commit first
    await sessions.refresh_claims(name)
    return Response(status_code=204)


async def disable(request):
    """Disable an account: all its sessions end, and `authenticate` lets none begin."""
    name = request.path_params["name"]
    if not is_admin(request):
        return Response(status_code=403)
    users[name]["is_active"] = False
    await sessions.account_disabled(name)
    return Response(status_code=204)


async def list_sessions(request):
    """Show the sessions of a user to an administrator, a page at a time."""
    if not is_admin(request):
        return Response(status_code=403)
    query = request.query_params
    try:
        page = await sessions.page(
            request.path_params["name"], limit=2, cursor=query.get("cursor", ""), ended=True
        )
    except InvalidCursor as error:
        return JSONResponse({"error": error.code}, status_code=400)
    listed = [
        {"id": row.session_id, "device": row.device, "ended": row.revoked_at, "cause": row.cause}
        for row in page.sessions
    ]
    return JSONResponse({"sessions": listed, "cursor": page.cursor})


api = Starlette(
    routes=[
        Route("/me", me),
        Route("/password", change_password, methods=["POST"]),
        Route("/users/{name}/role", change_role, methods=["POST"]),
        Route("/users/{name}/disable", disable, methods=["POST"]),
        Route("/users/{name}/sessions", list_sessions),
    ]
)
keys = KeySet.load_or_create("keys.json", "ES256")
secrets = KeySet.load_or_create("refresh.json", "HS256")
signer = Signer(keys, issuer="https://shop.example", audience="shop")
sessions = Sessions(SQLiteStore("sessions.db"), signer, secrets.keys, authorize=authorize)
verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
routes = SessionRoutes(api, sessions, verifier, authenticate)
app = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])
