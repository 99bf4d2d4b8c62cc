"""An API whose tokens come from an outside issuer, such as Keycloak or Auth0."""

from fastapi import Depends, FastAPI

from linqi.fastapi import CurrentUser, protect, requires

app = FastAPI(title="API")
protect(app, "api.toml")


@app.get("/me")
async def me(user: CurrentUser) -> str:
    """Say who called."""
    return user.identity


@app.get("/orders", dependencies=[Depends(requires("orders:read"))])
async def orders() -> list[str]:
    """Answer callers whose token has the scope."""
    return ["tea", "ink"]
