"""`LinqiUser` in real Locust processes, against real services with short lifetimes."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from linqi_report.processes import running
from linqi_storm.schema.violations import EXPIRED, FORCED_OUT, STORABLE_TOKENS

Rows: TypeAlias = dict[tuple[str, str], tuple[int, int]]
"""Requests and failures by type and name."""
Ran: TypeAlias = tuple[str, Rows]
"""What Locust printed, and its rows."""
TESTS = Path(__file__).parent
LOCUSTFILE = """
import os
import gevent
from gevent.pool import Pool
from locust import FastHttpUser, HttpUser, TaskSet, constant, events, task
from linqi_storm.locust_user import LinqiUser, on_storm

LOGIN = {"url": "/login", "body": {"username": "user-{n}", "password": "any"}}
STRANGER = os.environ["SLIDING"].replace("127.0.0.1", "localhost")
made = []


class Shopping(TaskSet):
    wait_time = constant(0.2)

    @task(8)
    def shop(self):
        row = type(self.user).__name__
        def get(number):
            if number == 0:
                self.client.get("/me", name=row, params={"page": "1"})
            elif number == 1:
                with self.client.get("/me", name=row, catch_response=True) as answer:
                    if not answer.json()["sub"].startswith("user-"):
                        answer.failure("not mine")
            elif number == 2:
                self.client.post("/orders", json={"item": 1}, name=row)
            else:
                with self.client.rename_request(row):
                    self.client.request("GET", "/me")
        Pool(4).map(get, range(4))

    @task(2)
    def stray(self):
        for url in (f"{STRANGER}/public/seen", f"/away?to={STRANGER}/public/seen"):
            with self.client.get(url, name="elsewhere", catch_response=True) as answer:
                if answer.json()["authorization"]:
                    answer.failure("the token left the host")
        with self.client.get("/me", name="own", headers={"authorization": "Bearer mine"},
                             catch_response=True) as answer:
            if answer.status_code == 401:
                answer.success()


class Recorded(LinqiUser):
    login = LOGIN
    tasks = [Shopping]

    def __init__(self, environment):
        super().__init__(environment)
        made.append(self)


class SlidingFast(Recorded, FastHttpUser):
    host = os.environ["SLIDING"]


class SlidingHttp(Recorded, HttpUser):
    host = os.environ["SLIDING"]


class DualFast(Recorded, FastHttpUser):
    host = os.environ["DUAL"]


class DualHttp(Recorded, HttpUser):
    host = os.environ["DUAL"]


class Without(FastHttpUser):
    host = os.environ["DUAL"]
    wait_time = constant(0.3)

    def on_start(self):
        body = {"username": "plain", "password": "any"}
        self.token = self.client.post("/login", json=body).json()["access_token"]

    @task
    def shop(self):
        headers = {"Authorization": f"Bearer {self.token}"}
        self.client.get("/me", name="Without", headers=headers)


class Member(LinqiUser):
    login = LOGIN
    wait_time = constant(0.1)

    def shop(self):
        self.client.get("/me", name=type(self).__name__)

    tasks = [shop]


class Forgetful(Member, FastHttpUser):
    host = os.environ["FORGETFUL"]


class Storable(Member, HttpUser):
    host = os.environ["STORABLE"]


class Expired(Member, FastHttpUser):
    host = os.environ["EXPIRED"]


@on_storm.add_listener
def heard(user, rule, what, **_):
    print("HEARD", type(user).__name__, rule, "|", what)


@events.quitting.add_listener
def tell(**_):
    for user in made:
        print("RENEWED", type(user).__name__, user.linqi_session.renewal.renewals)
"""


FROM_NOW = """
import gevent
from locust import events


@events.init.add_listener
def begin_now(**_):
    gevent.get_hub().loop.update_now()
"""
"""The clock of gevent's loop stands still during imports: slow ones would be part of the run."""


def locust(
    folder: Path, text: str, *options: str, environment: dict[str, str]
) -> tuple[subprocess.CompletedProcess[str], Rows]:
    """Run Locust with a locustfile; return how it ended and the rows of its statistics."""
    (folder / "locustfile.py").write_text(text + FROM_NOW)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "locust",
                "-f",
                "locustfile.py",
                "--headless",
                "--only-summary",
            ),
            *("--json-file", "run", *options),
        ],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    rows = json.loads((folder / "run.json").read_text())
    return done, {
        (row["method"], row["name"]): (row["num_requests"], row["num_failures"]) for row in rows
    }


def service(stack: ExitStack, folder: Path, mode: str, **environment: str) -> str:
    """Serve `locust_target` until the stack closes; return its URL."""
    arguments = ["uvicorn", "locust_target:app", "--port", "0", "--app-dir", str(TESTS)]
    found = {"MODE": mode, "FOLDER": str(folder), **environment}
    log = folder / f"{mode}{environment.get('FAULT', '')}.log"
    return stack.enter_context(running(arguments, log, health="/healthz", environment=found))


@pytest.fixture(scope="module")
def ran(
    tmp_path_factory: pytest.TempPathFactory,
) -> Ran:
    """Run users of both client classes on both kinds of sessions, and one without the mixin."""
    folder = tmp_path_factory.mktemp("users")
    with ExitStack() as stack:
        environment = {
            mode.upper(): service(stack, folder, mode, LIFETIME="1.8")
            for mode in ("sliding", "dual")
        }
        for fault in ("forgetful", "storable", "expired"):
            served = service(stack, folder, "sliding", LIFETIME="1.8", FAULT=fault)
            environment[fault.upper()] = served
        options = ("-u", "12", "-r", "12", "-t", "7")
        done, rows = locust(folder, LOCUSTFILE, *options, environment=environment)
    return done.stdout + done.stderr, rows


USERS = ("SlidingFast", "SlidingHttp", "DualFast", "DualHttp")


def test_users_with_the_mixin_see_no_refusal(ran: Ran) -> None:
    """Over several lifetimes no task of either client class fails, and no rule is broken."""
    said, rows = ran
    failed = [(kind, row) for (kind, row), (_, failures) in rows.items() if failures]
    violations = [key for key in failed if key[0] in ("VIOLATION", "HOSTILE")]
    assert {*failed} - {*violations} == {("GET", "Without")}, said[-4_000:]
    assert ("HOSTILE", "DualFast") not in violations
    for user in USERS:
        assert rows["GET", user][0] > 30
        assert rows["POST", user][0] > 10


def test_users_without_the_mixin_are_refused(ran: Ran) -> None:
    """The same service refuses a user that keeps its first token, so the test can fail."""
    _, rows = ran
    assert rows["GET", "Without"][1] > 5


def test_one_refresh_serves_all_parallel_requests_of_a_user(ran: Ran) -> None:
    """Each refresh brought a token, and each token one refresh."""
    said, rows = ran
    renewed = [line.split()[1:] for line in said.splitlines() if line.startswith("RENEWED")]
    by_refresh = [int(count) for name, count in renewed if name.startswith("Dual")]
    assert sum(by_refresh) == rows["REFRESH", "/refresh"][0]
    assert all(2 <= count <= 9 for count in by_refresh), by_refresh
    assert all(int(count) >= 2 for name, count in renewed if name.startswith("Sliding"))


def test_tokens_stay_on_the_host_of_the_user(ran: Ran) -> None:
    """Neither another host nor the target of a redirect sees the token; own headers stay."""
    _, rows = ran
    assert rows["GET", "elsewhere"][0] > 5
    assert rows["GET", "own"][0] > 2


def test_replaced_tokens_are_presented_after_their_end(ran: Ran) -> None:
    """The row HOSTILE counts requests with tokens that must be refused."""
    _, rows = ran
    assert (
        sum(count for (kind, row), (count, _) in rows.items() if kind == "HOSTILE" and row in USERS)
        > 2
    )


def test_broken_rules_are_heard_and_counted_as_failures(ran: Ran) -> None:
    """Each faulty service breaks its own rule, and the users of the others none."""
    said, rows = ran
    heard = {
        tuple(line.partition(" |")[0].split(" ", 2)[1:])
        for line in said.splitlines()
        if line.startswith("HEARD")
    }
    assert heard == {
        ("Forgetful", FORCED_OUT),
        ("Storable", STORABLE_TOKENS),
        ("Expired", EXPIRED),
    }
    for rule in (FORCED_OUT, STORABLE_TOKENS, EXPIRED):
        requests, failures = rows["VIOLATION", rule]
        assert requests == failures > 0
    assert rows["REFUSED", "Forgetful"][0] > 0
    assert rows["REFUSED", "Forgetful"][1] == rows["GET", "Forgetful"][1] == 0


@pytest.mark.long
def test_a_broken_rule_alone_sets_the_exit_code(tmp_path: Path) -> None:
    """Locust ends with 1 though every request of the tasks succeeded, and with 0 otherwise."""
    names = ("SLIDING", "DUAL", "FORGETFUL", "STORABLE", "EXPIRED")
    for user, code in (("Storable", 1), ("SlidingHttp", 0)):
        with ExitStack() as stack:
            fault = "storable" if code else ""
            url = service(stack, tmp_path, "sliding", LIFETIME="1.8", FAULT=fault)
            hosts = dict.fromkeys(names, url)
            options = ("-u", "1", "-t", "6", user)
            done, rows = locust(tmp_path, LOCUSTFILE, *options, environment=hosts)
        assert done.returncode == code, done.stderr[-3_000:]
        failed = {kind for (kind, _), (_, failures) in rows.items() if failures}
        assert failed == ({"VIOLATION"} if code else set())


FAULTY_LOGINS = """
from locust import FastHttpUser
from locust.env import Environment
from linqi import ConfigurationError
from linqi_storm.locust_user import LinqiUser

def made(**members):
    members["host"] = "http://127.0.0.1:9"
    try:
        user = type(FastHttpUser)("Shopper", (LinqiUser, FastHttpUser), members)
        user(Environment())
    except ConfigurationError as error:
        print(error)

made(login=lambda self: None)
made(login={"uri": "/login"})
made()
"""


def test_a_user_without_a_usable_login_is_refused() -> None:
    """A faulty login ends with a message, before any load."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTY_LOGINS], capture_output=True, text=True, check=True
    )
    assert "Shopper.login: is a method; rename it" in done.stdout
    assert "Shopper.login: Object missing required field `url`" in done.stdout or (
        "unknown field `uri`" in done.stdout
    )
    assert "Shopper has no login" in done.stdout
