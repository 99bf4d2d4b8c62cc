"""The OpenAPI document of a FastAPI application behind linqi, and Swagger UI in a real browser."""

import re
from pathlib import Path
from typing import Annotated, Any

import fastapi_offline
import httpx2
from fastapi import Depends, FastAPI, Security
from fastapi.security import APIKeyHeader
from playwright.async_api import Page, Route

from asgi import served
from chrome import browsing
from fastapi_shop import check_password, client_of, components
from linqi import Verified
from linqi.fastapi import (
    CurrentUser,
    OptionalUser,
    current,
    optional,
    protect,
    public,
    requires,
)

_SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"
"""The files that Swagger UI's page loads from a CDN."""


def shop(raw: dict[str, Any] | None = None, **options: Any) -> FastAPI:
    """Return an application with routes of each kind."""
    app = FastAPI()
    options.setdefault("scopes", {"orders:read": "See orders"})
    protect(app, components(raw), authenticate=check_password, public_docs=True, **options)
    key = APIKeyHeader(name="X-Key")

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.identity

    @app.get("/plain")
    async def plain() -> str:
        return "no dependency"

    @app.get("/open")
    @public
    async def opened() -> str:
        return "open"

    @app.get("/news/{number}")
    @optional
    async def news(number: int, user: OptionalUser) -> None: ...

    @app.get("/orders", dependencies=[Depends(requires("orders:read"))])
    async def orders() -> list[str]:
        return ["tea"]

    @app.put("/orders")
    async def put(
        user: Annotated[Verified, Security(current, scopes=["orders:write"])],
        given: Annotated[str, Security(key)],
    ) -> None: ...

    @app.get("/own", responses={401: {"description": "mine"}})
    async def own() -> None: ...

    return app


def operation(app: FastAPI, path: str, method: str = "get") -> dict[str, Any]:
    """Return an operation of the document."""
    found: dict[str, Any] = app.openapi()["paths"][path][method]
    return found


def test_guarded_operations_name_the_scheme_and_the_refusals() -> None:
    """401 on every guarded operation, 403 where scopes are required, none on public ones."""
    app = shop()
    assert operation(app, "/me")["security"] == [{"linqi": []}]
    assert operation(app, "/me")["responses"].keys() == {"200", "401"}
    assert operation(app, "/plain")["responses"].keys() == {"200", "401"}
    assert operation(app, "/orders")["security"] == [{"linqi": ["orders:read"]}]
    assert operation(app, "/orders")["responses"].keys() == {"200", "401", "403"}
    assert operation(app, "/news/{number}")["security"] == [{"linqi": []}, {}]
    assert "security" not in operation(app, "/open")
    assert operation(app, "/open")["responses"].keys() == {"200"}
    assert operation(app, "/own")["responses"]["401"] == {"description": "mine"}


def test_a_scheme_of_the_application_is_required_beside_the_guards() -> None:
    """Both, not one of them."""
    found = operation(shop(), "/orders", "put")
    assert found["security"] == [{"APIKeyHeader": [], "linqi": ["orders:write"]}]


def test_the_operators_public_paths_are_documented_as_public() -> None:
    """As ``[paths] public`` opens them."""
    app = shop({"paths": {"public": ["/plain"], "optional": ["/me"]}})
    assert "security" not in operation(app, "/plain")
    assert operation(app, "/me")["security"] == [{"linqi": []}, {}]


def test_the_session_routes_are_described_with_their_prefix() -> None:
    """Although they are served outside the router."""
    app = shop({"paths": {"sessions_prefix": "/auth"}})
    paths = {path for path in app.openapi()["paths"] if path.startswith("/auth/")}
    assert paths == {
        *("/auth/login", "/auth/refresh", "/auth/logout", "/auth/logout-all"),
        *("/auth/sessions", "/auth/sessions/{session_id}", "/auth/revoke"),
    }
    flow = app.openapi()["components"]["securitySchemes"]["linqi"]["flows"]["password"]
    assert flow["tokenUrl"] == "auth/login"
    assert flow["scopes"] == {"orders:read": "See orders", "orders:write": ""}


def test_every_reference_of_the_document_leads_somewhere() -> None:
    """The schemas of the described routes are there, each once."""
    document = shop().openapi()
    references = set(re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(document)))
    assert references
    assert references <= document["components"]["schemas"].keys()
    names = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert len(names) == len(set(names))


def test_routes_that_are_added_later_are_described_too() -> None:
    """The document follows the application, and is made once for each state of it."""
    app = shop()
    assert app.openapi() is app.openapi()
    app.add_api_route("/later", lambda: None)
    assert operation(app, "/later")["security"] == [{"linqi": []}]


async def test_the_documentation_is_public_only_where_that_is_said() -> None:
    """``public_docs=True`` opens its pages."""
    closed = FastAPI()
    protect(closed, components())
    pages = ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")
    for app, status in ((closed, 401), (shop(), 200)):
        async with client_of(app) as client:
            assert {(await client.get(page)).status_code for page in pages} == {status}


def test_without_a_sign_in_a_token_is_pasted() -> None:
    """An API whose tokens come from elsewhere has a bearer scheme."""
    app = FastAPI()
    protect(app, components())
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes == {"linqi": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    assert "/login" not in app.openapi()["paths"]


async def _from_package(route: Route) -> None:
    file = _SWAGGER_UI / route.request.url.rpartition("/")[2]
    await route.fulfill(path=file)


async def _authorize(page: Page) -> None:
    await page.click(".scheme-container button.authorize")
    await page.fill("#oauth_username", "alice")
    await page.fill("#oauth_password", "right")
    form = page.locator(".auth-container:has(#oauth_username)")
    async with page.expect_response(re.compile("/login$")) as signing_in:
        await form.locator(".auth-btn-wrapper button.authorize").click()
    assert (await (await signing_in.value).json())["token_type"] == "Bearer"
    await page.click(".dialog-ux .close-modal")


async def _execute(page: Page, path: str) -> tuple[int, str]:
    block = page.locator(f".opblock-get:has([data-path='{path}'])")
    await block.locator(".opblock-summary-control").click()
    await block.locator(".try-out__btn").click()
    async with page.expect_response(re.compile(f"{path}$")) as calling:
        await block.locator("button.execute").click()
    response = await calling.value
    return response.status, await response.text()


async def test_authorize_of_swagger_ui_signs_in_by_password() -> None:
    """The page of FastAPI as it is: Authorize with a name and a password, then a guarded call."""
    app = shop()

    async def behind_a_proxy(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            scope = scope | {"root_path": "/api"}
        await app(scope, receive, send)

    async with served(behind_a_proxy) as port, browsing() as browser:
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.route(re.compile("^https://"), _from_package)
        site = f"http://127.0.0.1:{port}/api"
        await page.goto(f"{site}/docs")
        assert (await _execute(page, "/me"))[0] == 401
        await _authorize(page)
        assert await _execute(page, "/orders") == (200, '["tea"]')
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{site}/orders")).status_code == 401
