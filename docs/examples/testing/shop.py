"""A shop with sliding sessions that can be revoked."""

from fastapi import FastAPI, Request
from starlette.authentication import requires

from linqi import (
    JWTMiddleware,
    KeySet,
    Revocations,
    Sessions,
    Signer,
    SlidingRenewal,
    SQLiteStore,
    Verifier,
)

signer = Signer(
    KeySet.load_or_create("keys.json", "ES256"), issuer="https://shop.example", audience="shop"
)
store = SQLiteStore("sessions.db")
revocations = Revocations(store)
sessions = Sessions(
    store, signer, KeySet.load_or_create("refresh.json", "HS256"), revocations=revocations
)
verifier = Verifier.trusting(signer, is_revoked=revocations.is_revoked)
renewal = SlidingRenewal(signer, is_revoked=revocations.is_revoked)

app = FastAPI()
app.add_middleware(JWTMiddleware, verifier=verifier, renewal=renewal, services=[sessions])


@app.get("/orders")
@requires("orders:read")
async def orders(request: Request) -> dict[str, object]:
    """Return the orders of the caller."""
    return {"of": request.user.identity, "orders": ["tea", "ink"]}
