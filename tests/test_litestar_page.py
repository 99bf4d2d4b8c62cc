"""The page of Litestar: its example, served by Litestar's own command line, and its tests."""

import re
from collections.abc import Iterator
from pathlib import Path

import fastapi_offline
import pytest
from playwright.async_api import Route

from chrome import browsing
from example_files import copied
from framework_shops import PASSWORDS, Shop, check_page, document_of, shop_at
from linqi_report.processes import running
from test_pytest_plugin import pytest_in

_SWAGGER_UI = Path(fastapi_offline.__file__).parent / "static"
"""The files of Swagger UI that its page loads from a CDN."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example and fresh keys."""
    return copied("frameworks/litestar", tmp_path_factory.mktemp("litestar"))


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[Shop]:
    """Serve the example by ``litestar --app shop:app run``."""
    command = ["litestar", "--app", "shop:app", "--app-dir", str(folder), "run", "--port", "0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with running(command, folder / "log", health="/health") as url, shop_at(url) as shop:
            yield shop


def test_the_page_shows_the_files_that_the_tests_run() -> None:
    """Every file of the example is on the page, as it is."""
    check_page("litestar")


def test_callers_are_known_and_strangers_refused(shop: Shop) -> None:
    """Also on a path that does not exist, and on a WebSocket."""
    shop.check_callers()
    shop.check_socket()


def test_the_document_has_the_session_routes_and_the_refusals(shop: Shop) -> None:
    """It is public on this page, with a scheme that signs in by name and password."""
    document = document_of(shop, "/schema/openapi.json")
    flow = document["components"]["securitySchemes"]["linqi"]["flows"]["password"]
    assert flow["tokenUrl"] == "/login"
    paths = document["paths"]
    assert {"/login", "/refresh", "/logout", "/sessions", "/revoke"} <= set(paths)
    assert "access_token" in str(paths["/login"]["post"]["responses"]["200"])
    guarded = paths["/orders"]["get"]
    assert guarded["security"] == [{"linqi": ["orders:read"]}]
    assert {"200", "401", "403"} <= set(guarded["responses"])
    assert "security" not in paths["/health"]["get"]
    assert paths["/hello"]["get"]["security"] == [{"linqi": []}, {}]
    assert "$ref" not in str(paths["/login"])


async def _from_package(route: Route) -> None:
    """Answer with a file that the page would load from a CDN; its optional preset is empty."""
    name = route.request.url.rpartition("/")[2].partition("?")[0]
    if (_SWAGGER_UI / name).is_file():
        await route.fulfill(path=_SWAGGER_UI / name)
    else:
        await route.fulfill(body="", content_type="text/javascript")


async def test_authorize_of_swagger_ui_signs_in_by_password(shop: Shop) -> None:
    """Litestar's page as it is: refused, Authorize with name and password, then answered."""
    async with browsing() as browser:
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.route(re.compile("^https://"), _from_package)
        await page.goto(f"{shop.url}/schema")
        block = page.locator(".opblock-get:has([data-path='/me'])")
        await block.locator(".opblock-summary-control").click()
        await block.locator(".try-out__btn").click()
        async with page.expect_response(re.compile("/me$")) as refused:
            await block.locator("button.execute").click()
        assert (await refused.value).status == 401
        await page.click(".scheme-container button.authorize")
        await page.fill("#oauth_username", "root")
        await page.fill("#oauth_password", PASSWORDS["root"])
        form = page.locator(".auth-container:has(#oauth_username)")
        async with page.expect_response(re.compile("/login$")):
            await form.locator(".auth-btn-wrapper button.authorize").click()
        await page.locator(".modal-ux .auth-btn-wrapper .btn-done").click()
        async with page.expect_response(re.compile("/me$")) as answered:
            await block.locator("button.execute").click()
        assert await (await answered.value).json() == {"user": "root", "role": "staff"}


def test_accounts_are_run_by_one_call_each(shop: Shop) -> None:
    """The role, the password, a session, the account."""
    shop.check_accounts()


def test_the_tests_of_the_page_pass(folder: Path) -> None:
    """In the folder of the example, as a reader runs them."""
    assert "5 passed" in pytest_in(folder)
