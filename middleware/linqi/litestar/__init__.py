"""The Litestar plugin: current user, guards and OpenAPI behind `JWTMiddleware`.

```python
@get("/orders", guards=[requires("orders:read")])
async def orders(current: Verified) -> list[str]: ...

app = Litestar([orders], plugins=[LinqiPlugin("linqi.toml", authenticate=authenticate)])
```
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi.litestar.callers import Refused, current, current_or_none, requires
    from linqi.litestar.plugin import LinqiPlugin
    from linqi.litestar.routes import marked_routes
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi.litestar.callers": ("Refused", "current", "current_or_none", "requires"),
            "linqi.litestar.plugin": ("LinqiPlugin",),
            "linqi.litestar.routes": ("marked_routes",),
        },
    )

__all__ = [
    "LinqiPlugin",
    "Refused",
    "current",
    "current_or_none",
    "marked_routes",
    "requires",
]
