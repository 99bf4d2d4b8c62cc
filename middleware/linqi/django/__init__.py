"""The Django integration: `request.user` and scopes behind `JWTMiddleware`.

```python
# asgi.py
application = protect(get_asgi_application(), "linqi.toml", authenticate=authenticate)

# settings.py
MIDDLEWARE = [..., "linqi.django.LinqiMiddleware"]

# views.py
@requires("orders:read")
def orders(request): ...
```
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi.asgi.route_marks import optional, public
    from linqi.django.middleware import LinqiMiddleware
    from linqi.django.permissions import ScopeBackend
    from linqi.django.protection import authenticate, protect
    from linqi.django.routes import marked_routes
    from linqi.django.views import RefusedRequest, current, current_or_none, requires
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi.asgi.route_marks": ("optional", "public"),
            "linqi.django.middleware": ("LinqiMiddleware",),
            "linqi.django.permissions": ("ScopeBackend",),
            "linqi.django.protection": ("authenticate", "protect"),
            "linqi.django.routes": ("marked_routes",),
            "linqi.django.views": ("RefusedRequest", "current", "current_or_none", "requires"),
        },
    )

__all__ = [
    "LinqiMiddleware",
    "RefusedRequest",
    "ScopeBackend",
    "authenticate",
    "current",
    "current_or_none",
    "marked_routes",
    "optional",
    "protect",
    "public",
    "requires",
]
