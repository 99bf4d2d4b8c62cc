"""A FastAPI application behind linqi, with a route that asks for a scope."""

from fastapi import FastAPI, Request
from starlette.authentication import requires

from linqi import JWTMiddleware, KeySet, Signer, SlidingRenewal, Verifier

keys = KeySet.load_or_create("keys.json", "ES256")  # made once, whichever worker comes first
signer = Signer(keys, issuer="https://shop.example", audience="shop")
verifier = Verifier.trusting(signer)
renewal = SlidingRenewal(signer, on_issue=verifier.cache_issued)

app = FastAPI()
app.add_middleware(
    JWTMiddleware,
    verifier=verifier,
    renewal=renewal,
    public=["/login", "/docs", "/openapi.json"],
)


@app.post("/login")
async def login() -> dict[str, object]:
    """Check a password here, then start a session."""
    issued = renewal.start("alice", scopes=["read"])
    return {"access_token": issued.token, "token_type": "Bearer", "refresh_in": issued.refresh_in}


@app.get("/me")
async def me(request: Request) -> dict[str, object]:
    """Say who called, and until when the token lives."""
    return {"user": request.user.identity, "expires_at": request.scope["linqi"].expires_at}


@app.get("/orders")
@requires("read")
async def orders(request: Request) -> list[str]:
    """Answer callers whose token has the scope ``read``; others get 403."""
    return ["tea", "ink"]


@app.delete("/orders")
@requires("write")
async def delete_orders(request: Request) -> None:
    """Refuse callers whose token lacks the scope ``write``."""
