"""Starlette behind linqi: one call protects an application, and marks open single routes.

```python
routes = [Route("/", public(home)), Route("/me", me)]
app = Starlette(routes=routes)
protect(app, "linqi.toml", authenticate=check_password)
```
"""

from linqi.asgi.route_marks import optional, public
from linqi.starlette.protection import protect
from linqi.starlette.routes import marked_routes

__all__ = ["marked_routes", "optional", "protect", "public"]
