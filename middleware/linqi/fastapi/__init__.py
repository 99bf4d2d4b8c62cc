"""FastAPI behind linqi: dependencies for the caller, marks on routes, and the OpenAPI document.

```python
app = FastAPI()
parts = protect(app, "linqi.toml", authenticate=check_password, public_docs=True)

@app.get("/me")
async def me(user: CurrentUser) -> str:
    return user.identity
```
"""

from linqi.asgi.route_marks import optional, public
from linqi.fastapi.dependencies import (
    CurrentUser,
    OptionalUser,
    RequiredScopes,
    current,
    current_or_none,
    requires,
)
from linqi.fastapi.document import document
from linqi.fastapi.protection import protect
from linqi.fastapi.refused import RefusedRequest
from linqi.fastapi.routes import marked_routes
from linqi.fastapi.users import load_user

__all__ = [
    "CurrentUser",
    "OptionalUser",
    "RefusedRequest",
    "RequiredScopes",
    "current",
    "current_or_none",
    "document",
    "load_user",
    "marked_routes",
    "optional",
    "protect",
    "public",
    "requires",
]
