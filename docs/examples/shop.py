"""A FastAPI shop whose users stay signed in: any request near expiry gets the next token."""

from fastapi import FastAPI, Request

from linqi import JWTMiddleware, KeySet, Signer, SlidingRenewal, Verifier

keys = KeySet.load_or_create("keys.json", "ES256")
signer = Signer(keys, issuer="https://shop.example", audience="shop")
verifier, renewal = Verifier.trusting(signer), SlidingRenewal(signer)
app = FastAPI()
app.add_middleware(JWTMiddleware, verifier=verifier, renewal=renewal, public=["/login"])


@app.post("/login")
async def login():  # check a password here
    return {"access_token": renewal.start("alice").token}


@app.get("/me")
async def me(request: Request):
    return {"user": request.user.identity}
