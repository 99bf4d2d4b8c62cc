"""The page of Django: its example by daphne's ``runserver``, and its tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from example_files import copied
from framework_shops import PASSWORDS, Shop, check_page, shop_at
from free_ports import free_port
from waiting import wait_until

_USERS = f"""
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
make = get_user_model().objects.create_user
make("alice", password={PASSWORDS["alice"]!r})
make("root", password={PASSWORDS["root"]!r}, is_staff=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the example, fresh keys and two users."""
    folder = copied("frameworks/django", tmp_path_factory.mktemp("django"))
    subprocess.run([sys.executable, "-c", _USERS], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[Shop]:
    """Serve the example by ``manage.py runserver``."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with (folder / "log").open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)

    def answers() -> bool:
        assert server.poll() is None, (folder / "log").read_text()
        try:
            return httpx2.get(f"{url}/health").status_code == 200
        except httpx2.TransportError:
            return False

    try:
        wait_until(answers)
        with shop_at(url, {"alice": "1", "root": "2"}.__getitem__) as shop:
            yield shop
    finally:
        server.terminate()
        server.wait(60)


def test_the_page_shows_the_files_that_the_tests_run() -> None:
    """Every file of the example is on the page, as it is."""
    check_page("django")


def test_callers_are_known_and_strangers_refused(shop: Shop) -> None:
    """Also on a path that does not exist, and on a WebSocket of Channels."""
    shop.check_callers()
    shop.check_socket()
    alice = shop.caller("alice")
    assert alice.ask("GET", "/orders/7").json() == {"id": 7}  # permission_required, by the scope
    assert shop.caller("root").ask("GET", "/orders/7").status_code == 403


def test_accounts_are_run_by_one_call_each(shop: Shop) -> None:
    """The role, the password, a session, the account."""
    shop.check_accounts()


def test_the_tests_of_the_page_pass(folder: Path) -> None:
    """``manage.py test`` sends each request through asgi.py, also where pytest is not installed."""
    program = (
        "import runpy, sys; sys.modules['pytest'] = None; sys.argv = ['manage.py', 'test'];"
        "runpy.run_path('manage.py')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "error::RuntimeWarning"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Ran 5 tests" in ran.stderr, ran.stderr
    assert ran.returncode == 0, ran.stderr


def test_wsgi_is_refused_at_the_start(folder: Path) -> None:
    """Nothing would verify the tokens there."""
    program = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings';"
        "from django.core.wsgi import get_wsgi_application; get_wsgi_application()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "LinqiMiddleware needs ASGI, and WSGIHandler serves WSGI" in ran.stderr


def test_a_user_of_an_outside_issuer_is_made_once_and_apart_from_others(folder: Path) -> None:
    """The subject "alice" of the issuer is not the alice who signs in here."""
    program = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'shop.settings';"
        "import django; django.setup();"
        "from types import SimpleNamespace as Token; from shop.members import load_user;"
        "first, again = (load_user(Token(subject='alice')) for _ in range(2));"
        "print(first.username, first == again, first.has_usable_password(),"
        " load_user(Token(subject=None)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.stdout.split() == ["login:alice", "True", "False", "None"], ran.stderr
