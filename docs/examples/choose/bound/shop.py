"""Sliding sessions bound to a store: the client swaps a header, and a sign-out counts."""

from fastapi import FastAPI

from linqi.fastapi import CurrentUser, protect, public

app = FastAPI()
parts = protect(app, "linqi.toml")


@app.post("/login")
@public
async def login():
    """Check a password here, then start a session."""
    return {"access_token": parts.renewal.start("alice").token}


@app.post("/logout", status_code=204)
async def logout(user: CurrentUser):
    """End the session of the caller: every worker refuses its tokens from now on."""
    await parts.sessions.revoke(user.session_id, cause="logout")


@app.get("/me")
async def me(user: CurrentUser):
    """Say who called."""
    return {"user": user.identity}
