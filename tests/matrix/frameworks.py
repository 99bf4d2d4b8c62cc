"""The frameworks of the matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FRAMEWORKS", "Framework"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """One framework, whose application is the module of its key in `matrix.apps`.

    Attributes:
        name: Stands in the table.
        package: The distribution whose version is shown, empty for none.

    """

    name: str
    package: str


FRAMEWORKS: Final = {
    key: Framework(name=name, package=package)
    for key, name, package in (
        ("bare", "none (bare ASGI)", ""),
        ("fastapi", "FastAPI", "fastapi"),
        ("starlette", "Starlette", "starlette"),
        ("litestar", "Litestar", "litestar"),
        ("quart", "Quart", "quart"),
        ("django", "Django, Channels", "django"),
        ("falcon", "Falcon", "falcon"),
        ("blacksheep", "BlackSheep", "blacksheep"),
        ("sanic", "Sanic", "sanic"),
    )
}
