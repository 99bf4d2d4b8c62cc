"""The pages of the wholesaler: each needs a signed-in user, and shows what is theirs."""

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def page(request):
    """Answer who asked; here would be the orders, the stock, the customers."""
    return JSONResponse({"user": request.scope["user"].identity})


PATHS = ["/orders", "/customers", "/invoices", "/api/orders", "/api/stock", "/api/customers"]
app = Starlette(routes=[Route(path, page) for path in PATHS])
