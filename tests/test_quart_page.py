"""The page of Quart: its example on a real server, and its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from example_files import copied
from framework_shops import Shop, check_page, shop_at
from linqi_report.processes import running
from test_pytest_plugin import pytest_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example and fresh keys."""
    return copied("frameworks/quart", tmp_path_factory.mktemp("quart"))


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[Shop]:
    """Serve the example by uvicorn."""
    command = ["uvicorn", "shop:app", "--port", "0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with running(command, folder / "log", health="/health") as url, shop_at(url) as shop:
            yield shop


def test_the_page_shows_the_files_that_the_tests_run() -> None:
    """Every file of the example is on the page, as it is."""
    check_page("quart")


def test_callers_are_known_and_strangers_refused(shop: Shop) -> None:
    """Also on a path that does not exist, and on a WebSocket."""
    shop.check_callers()
    shop.check_socket()


def test_accounts_are_run_by_one_call_each(shop: Shop) -> None:
    """The role, the password, a session, the account."""
    shop.check_accounts()


def test_the_tests_of_the_page_pass(folder: Path) -> None:
    """In the folder of the example, as a reader runs them."""
    assert "5 passed" in pytest_in(folder, "-o", "asyncio_mode=auto")
