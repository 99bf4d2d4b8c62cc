"""Orders as an internal API: tokens come from Keycloak, roles of the realm are scopes."""

from fastapi import Depends, FastAPI

from linqi.fastapi import CurrentUser, protect, public, requires

app = FastAPI(title="Orders")
protect(app, "linqi.toml")
ORDERS = ["tea", "ink"]


@app.get("/health")
@public
async def health() -> str:
    """Answer the load balancer, which has no token."""
    return "ok"


@app.get("/orders", dependencies=[Depends(requires("orders:read"))])
async def orders(user: CurrentUser) -> dict[str, str | list[str]]:
    """Answer a user or a service with the role ``orders:read``."""
    return {"for": user.claims["preferred_username"], "orders": ORDERS}


@app.post("/orders", status_code=201, dependencies=[Depends(requires("orders:write"))])
async def order(item: str) -> None:
    """Take an order of a caller with the role ``orders:write``."""
    ORDERS.append(item)
