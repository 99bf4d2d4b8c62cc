"""The Quart integration: current user and scopes behind `JWTMiddleware`.

```python
@app.get("/orders")
@requires("orders:read")
async def orders() -> list[str]: ...

protect(app, "linqi.toml", authenticate=authenticate)
```
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi.asgi.route_marks import optional, public
    from linqi.quart.callers import current, current_or_none, requires, user, user_or_none
    from linqi.quart.protection import protect
    from linqi.quart.routes import marked_routes
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi.asgi.route_marks": ("optional", "public"),
            "linqi.quart.callers": (
                "current",
                "current_or_none",
                "requires",
                "user",
                "user_or_none",
            ),
            "linqi.quart.protection": ("protect",),
            "linqi.quart.routes": ("marked_routes",),
        },
    )

__all__ = [
    "current",
    "current_or_none",
    "marked_routes",
    "optional",
    "protect",
    "public",
    "requires",
    "user",
    "user_or_none",
]
