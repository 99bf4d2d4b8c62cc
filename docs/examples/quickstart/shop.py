"""Users stay signed in while each token lives for minutes."""

from fastapi import FastAPI

from linqi.fastapi import CurrentUser, protect, public

app = FastAPI()
parts = protect(app, "linqi.toml")  # every route but @public ones needs a token


@app.post("/login")
@public
async def login():
    """Check a password here, then start a session."""
    return {"access_token": parts.renewal.start("alice").token}


@app.get("/me")
async def me(user: CurrentUser):
    """Say who called."""
    return {"user": user.identity}
