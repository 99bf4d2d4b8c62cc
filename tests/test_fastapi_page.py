"""The pages of FastAPI and Starlette, and their examples, as a reader runs them."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from example_files import copied, imported
from framework_shops import check_page
from test_pytest_plugin import pytest_in

NAMES = ["fastapi", "starlette"]


@pytest.fixture(scope="module", params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an example and fresh keys."""
    return copied(f"frameworks/{request.param}", tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[ModuleType]:
    """Import the example in its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield imported(folder / "shop.py")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_every_example_as_it_is(name: str) -> None:
    """The code on the page is the files that are run here."""
    check_page(name)


def test_the_tests_of_the_page_pass_in_an_empty_folder(folder: Path) -> None:
    """By ``pytest`` as the page calls it; the fixtures come with linqi."""
    assert " passed" in pytest_in(folder)


def test_accounts_are_run_by_one_call_each(shop: ModuleType) -> None:
    """A role, a password, the sessions that an administrator sees, a disabled account."""
    with TestClient(shop.app) as client:

        def sign_in(name: str, password: str) -> dict[str, str]:
            answer = client.post("/login", data={"username": name, "password": password})
            return {"Authorization": f"Bearer {answer.json()['access_token']}"}

        root, alice = sign_in("root", "battery staple"), sign_in("alice", "correct horse")
        other = sign_in("alice", "correct horse")
        listed = client.get("/accounts/alice/sessions", headers=root).json()
        assert len(listed["sessions"]) >= 2  # those of the tests before, too
        assert listed["cursor"] == ""
        assert client.get("/accounts/alice/sessions", headers=alice).status_code == 403

        assert ask(client, "PATCH", "/accounts/alice", root, {"role": "buyer"}) == 204
        answer = client.get("/me", headers=alice)
        assert (answer.status_code, answer.json()["role"]) == (200, "buyer")
        alice = {"Authorization": f"Bearer {answer.headers['X-Refresh-Token']}"}

        assert ask(client, "PUT", "/me/password", alice, {"password": "new words"}) == 204
        assert client.get("/me", headers=alice).status_code == 200
        assert client.get("/me", headers=other).status_code == 401

        assert ask(client, "DELETE", "/accounts/alice", root) == 204
        assert client.get("/me", headers=alice).status_code == 401
        form = {"username": "alice", "password": "new words"}
        assert client.post("/login", data=form).status_code == 400


def ask(client: TestClient, method: str, path: str, headers: Any, body: Any = None) -> int:
    """Return the status of a request with a JSON body."""
    return client.request(method, path, headers=headers, json=body).status_code
