"""What the session routes answer, tell and log when it is not the request's fault."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import Answer, App, call, http
from clock import FakeClock
from linqi import (
    JWTMiddleware,
    Key,
    LoggingHook,
    Person,
    RenewalSettings,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    SQLiteStore,
    Verifier,
)
from linqi._callbacks import log_fault
from linqi.errors import ApplicationFault, NotStarted, Unavailable
from linqi.events import RenewalFailed, RevocationFailed, SessionRouteFailed, TokenRefused
from linqi.sessions.record import SessionRecord
from linqi.stores.memory import MemoryStore

ISSUER = "https://shop.example"
PASSWORD = "Correct-Horse 7é"
LEAKS = ("Correct", "Horse", "horse", "mallory")


class Site:
    """Session routes whose application and store behave as a test asks."""

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.heard: list[Any] = []
        signer = Signer(Key.generate("ES256"), issuer=ISSUER, audience="shop", clock=clock)
        self.sessions = Sessions(
            options.pop("store", None) or MemoryStore(clock=clock),
            signer,
            Key.generate("HS256"),
            authorize=options.pop("authorize", None),
            hooks=[self.heard.append, LoggingHook()],
            clock=clock,
        )
        self.verifier = Verifier.trusting(
            signer,
            is_revoked=self.sessions.revocations.is_revoked,
            hooks=[self.heard.append],
            clock=clock,
        )
        authenticate = options.pop("authenticate", lambda form: Person(subject=form["username"]))
        self.routes = SessionRoutes(
            App(), self.sessions, self.verifier, authenticate, throttle=None, clock=clock
        )
        hooks, public = [self.heard.append], self.routes.public
        self.app = JWTMiddleware(
            self.routes, self.verifier, public=public, hooks=hooks, clock=clock
        )

    async def post(self, path: str, **fields: str) -> Answer:
        """Post a form."""
        body = urlencode(fields).encode()
        kind = [(b"content-type", b"application/x-www-form-urlencoded")]

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        answer = Answer()
        await self.app(http(path, method="POST", headers=kind), receive, answer.send)
        return answer

    async def login(self, name: str = "mallory") -> Answer:
        """Sign in."""
        return await self.post("/login", username=name, password=PASSWORD)

    @property
    def failures(self) -> list[SessionRouteFailed]:
        """The events of routes that failed."""
        return [event for event in self.heard if isinstance(event, SessionRouteFailed)]


@pytest.fixture
async def make(clock: FakeClock) -> AsyncIterator[Callable[..., Any]]:
    """Return a maker of running sites."""
    made: list[Site] = []

    async def start(**options: Any) -> Site:
        site = Site(clock, **options)
        await site.sessions.start()
        made.append(site)
        return site

    yield start
    for site in made:
        await site.sessions.close()


def check_plain_500(answer: Answer) -> None:
    """Check that an answer says nothing of what went wrong, and not to try again."""
    assert answer.status == 500
    body = b'{"error":"server_error","error_description":"the server cannot do this"}'
    assert answer.messages[1]["body"] == body
    assert answer.header("retry-after") is None


def check_log(caplog: pytest.LogCaptureFixture, *wanted: str) -> None:
    """Check that the log has `wanted` at ERROR, no secret, and no frames with variables."""
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.name for record in errors} == {"linqi"}
    text = "\n".join(record.getMessage() for record in errors)
    for part in wanted:
        assert part in text
    for leak in LEAKS:
        assert leak not in caplog.text
    for record in caplog.records:
        assert record.exc_info is None
        assert not any(isinstance(value, BaseException) for value in vars(record).values())


def raise_quoting(form: Any) -> Any:
    """Raise with everything that was given in the message, and in a variable."""
    password = form["password"]
    raise ValueError(f"cannot check {password} of {form['username']}")


def raise_key_error(form: Any) -> Any:
    """Raise with the password as the missing key."""
    return {}[form["password"]]


def raise_from_another(form: Any) -> Any:
    """Raise with a cause that quotes the first half of the password in other letters."""
    try:
        raise OSError(f"no answer for {form['password'][:7].upper()}")
    except OSError as error:
        raise RuntimeError("gone away") from error


async def raise_later(form: Any) -> Any:
    """Raise from a group after an await."""
    await asyncio.sleep(0)
    raise ExceptionGroup("several", [ValueError(repr(form))])


@pytest.mark.parametrize(
    ("authenticate", "wanted"),
    [
        (raise_quoting, ("ValueError", "in raise_quoting", "test_route_faults.py")),
        (raise_key_error, ("KeyError", "in raise_key_error")),
        (raise_from_another, ("RuntimeError: gone away", "OSError", "direct cause")),
        (raise_later, ("ExceptionGroup", "The group above holds", "ValueError")),
    ],
)
async def test_an_authenticate_that_raises_is_a_500_with_a_traceback_without_secrets(
    make: Any, caplog: pytest.LogCaptureFixture, authenticate: Any, wanted: tuple[str, ...]
) -> None:
    """A programming error: no detail in the answer, no Retry-After, an event, and the traceback."""
    site = await make(authenticate=authenticate)
    check_plain_500(await site.login())
    check_log(caplog, "authenticate raised", "Traceback", *wanted)
    (event,) = site.failures
    assert (event.status, event.code, event.path) == (500, "application_fault", "/login")
    assert "authenticate raised" in event.detail


async def test_a_message_without_secrets_is_logged(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What the error says stays readable where it repeats nothing of the form."""

    def authenticate(form: Any) -> Any:
        raise ConnectionRefusedError(111, "Connection refused\n2026 forged line")

    site = await make(authenticate=authenticate)
    check_plain_500(await site.login())
    check_log(caplog, r"[Errno 111] Connection refused\n2026 forged line")


async def test_an_authenticate_that_raises_unavailable_is_503(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """If the directory is away: Retry-After as the exception says, an event, and a log line."""

    def authenticate(form: Any) -> Any:
        raise Unavailable(f"no directory for {form['username']}", retry_after=7.2)

    site = await make(authenticate=authenticate)
    answer = await site.login()
    assert (answer.status, answer.header("retry-after")) == (503, "8")
    (event,) = site.failures
    assert (event.status, event.code) == (503, "unavailable")
    check_log(caplog, "session route failed: status=503")


@pytest.mark.parametrize(
    ("found", "name"),
    [(True, "bool"), ("mallory", "str"), ({"subject": "mallory"}, "dict"), (("mallory",), "tuple")],
)
async def test_what_is_no_person_is_said(
    make: Any, caplog: pytest.LogCaptureFixture, found: Any, name: str
) -> None:
    """The log says what came and what was expected, and not its value."""
    site = await make(authenticate=lambda form: found)
    check_plain_500(await site.login())
    check_log(caplog, f"authenticate returned {name}, expected a linqi.Person, or None to refuse")
    assert len(site.failures) == 1


@pytest.mark.parametrize(
    ("subject", "status", "wanted"),
    [
        ("a" * 1024, 200, ""),
        ("a" * 1025, 400, "1025 characters long, expected a string of 1 to 1024"),
        ("a\0b", 400, "NUL or a lone surrogate"),
        ("a\ud800", 400, "NUL or a lone surrogate"),
        ("", 400, "0 characters long"),
        (7, 500, "returned int, expected Person.subject to be a string"),
        (None, 500, "returned NoneType, expected Person.subject to be a string"),
    ],
)
async def test_v13_an_unfit_subject_is_found_at_login(
    make: Any, caplog: pytest.LogCaptureFixture, subject: Any, status: int, wanted: str
) -> None:
    """V13: no session is started, and a name that someone chose is no 500."""
    site = await make(authenticate=lambda form: Person(subject=subject))
    answer = await site.login()
    assert answer.status == status
    if status == 400:
        assert b'"invalid_grant"' in answer.messages[1]["body"]
        assert [event.code for event in site.failures] == ["invalid_subject"]
    if status != 200:
        check_log(caplog, wanted)
        assert not site.sessions.store._rows


@pytest.mark.parametrize(
    ("person", "wanted"),
    [
        (Person(subject="a", claims={"sub": "b"}), "claims names sub"),
        (Person(subject="a", claims={"x": "y" * 5000}), "at most 4096"),
        (Person(subject="a", claims={"x": object()}), "not JSON"),
        (Person(subject="a", claims={"x": "\ud800"}), "not JSON"),
        (Person(subject="a", scopes="read"), "scopes is not a list"),
    ],
)
async def test_an_unfit_person_is_a_500_that_says_what_is_wrong(
    make: Any, caplog: pytest.LogCaptureFixture, person: Person, wanted: str
) -> None:
    """Claims and scopes are the application's: nothing is kept, and the log names the fault."""
    site = await make(authenticate=lambda form: person)
    check_plain_500(await site.login())
    check_log(caplog, wanted)
    assert not site.sessions.store._rows


def raise_quoting_record(record: SessionRecord) -> bool:
    """Raise."""
    raise LookupError("no such table: roles")


@pytest.mark.parametrize(
    ("authorize", "wanted"),
    [
        (raise_quoting_record, "LookupError: no such table: roles"),
        (lambda record: None, "authorize returned NoneType, expected True, False or a mapping"),
        (lambda record: 1, "authorize returned int, expected True, False or a mapping"),
        (lambda record: {"x": object()}, "not JSON"),
        (lambda record: {"x": float("nan")}, "not JSON"),
        (lambda record: {"x": "y" * 5_000}, "at most 4096 are kept"),
    ],
)
async def test_an_authorize_that_raises_or_answers_wrongly_ends_no_session(
    make: Any, caplog: pytest.LogCaptureFixture, authorize: Any, wanted: str
) -> None:
    """A programming error is a 500 with a traceback; the token can be presented again."""
    site = await make(authorize=lambda record: broken(record))
    broken = authorize
    pair = await site.sessions.sign_in("alice")
    check_plain_500(await site.post("/refresh", refresh_token=pair.refresh_token))
    check_log(caplog, wanted)
    assert [event.path for event in site.failures] == ["/refresh"]
    assert pair.refresh_token[:20] not in caplog.text
    broken = lambda record: True  # noqa: E731
    assert (await site.post("/refresh", refresh_token=pair.refresh_token)).status == 200


async def test_an_authorize_that_raises_in_many_waiters_is_logged_once(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One flight asks once; every waiter is answered."""
    site = await make(authorize=raise_quoting_record)
    pair = await site.sessions.sign_in("alice")
    posts = [site.post("/refresh", refresh_token=pair.refresh_token) for _ in range(5)]
    for answer in await asyncio.gather(*posts):
        check_plain_500(answer)
    assert caplog.text.count("Traceback") == 1
    with pytest.raises(ApplicationFault, match="authorize raised LookupError"):
        await site.sessions.refresh(pair.refresh_token)


@pytest.mark.parametrize(
    ("authorize", "wanted"),
    [
        (raise_quoting_record, "LookupError: no such table: roles"),
        (lambda verified: None, "authorize returned NoneType"),
    ],
)
async def test_a_sliding_authorize_that_raises_is_logged_with_its_traceback(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, authorize: Any, wanted: str
) -> None:
    """The request is answered without a successor; `RenewalFailed` and the log say why."""
    signer = Signer(Key.generate("ES256"), issuer=ISSUER, audience="shop", clock=clock)
    renewal = SlidingRenewal(signer, RenewalSettings(), authorize=authorize, clock=clock)
    issued = renewal.start("alice")
    clock.move(issued.expires_at - clock() - 100)
    heard: list[Any] = []
    verifier = Verifier.trusting(signer, clock=clock)
    app = JWTMiddleware(App(), verifier, renewal=renewal, hooks=[heard.append], clock=clock)
    answer = await call(app, http(token=issued.token))
    assert (answer.status, answer.successor) == (200, None)
    check_log(caplog, wanted)
    assert [event.detail for event in heard if isinstance(event, RenewalFailed)]
    assert renewal.counts.failed == 1


async def test_a_store_that_is_down_is_told(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    """503 with Retry-After, an event and a line at each route that needs the store."""

    async def dead(*_: Any) -> Any:
        raise Unavailable("SQLite: disk I/O error", retry_after=2)

    site = await make()
    for name in ("create", "present", "live", "revoke", "revoke_all", "publish"):
        setattr(site.sessions.store, name, dead)
    refresh = site.sessions._tokens.make("a" * 30, 0, 1e10)
    answers = [
        await site.login(),
        await site.post("/refresh", refresh_token=refresh),
        await site.post("/logout", refresh_token=refresh),
        await site.post("/revoke", token=refresh),
    ]
    assert [answer.status for answer in answers] == [503] * 4
    assert {answer.header("retry-after") for answer in answers} == {"2"}
    assert [event.path for event in site.failures] == ["/login", "/refresh", "/logout", "/revoke"]
    check_log(caplog, "session route failed: status=503 code=unavailable", "disk I/O error")


async def test_a_bug_in_a_store_is_a_500_without_its_message(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever escapes is logged by file, line and type, and never shown."""

    class Broken(MemoryStore):
        async def create(self, record: Any, most: int) -> Any:
            raise KeyError(record.subject)

    site = await make(store=Broken())
    check_plain_500(await site.login())
    check_log(caplog, "a session route raised", "KeyError", "in create", "left out")
    assert [event.code for event in site.failures] == ["unexpected"]


async def test_revocations_that_were_never_started_name_the_remedy(clock: FakeClock) -> None:
    """Trying again does not help: no Retry-After, and the events say what to write."""
    site = Site(clock)
    answer = await call(site.app, http(token=signed(site, clock)))
    assert (answer.status, answer.header("retry-after")) == (503, None)
    (refused,) = [event for event in site.heard if isinstance(event, TokenRefused)]
    assert "services=[sessions]" in refused.detail
    details = {event.detail for event in site.heard if isinstance(event, RevocationFailed)}
    assert len(details) == 1
    assert "services=[sessions]" in details.pop()


async def test_a_store_that_was_never_started_names_the_remedy(
    clock: FakeClock, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A fault of the set-up: 500 without detail or Retry-After, and the log says what to write."""
    store = SQLiteStore(tmp_path / "sessions.db")
    with pytest.raises(NotStarted, match=r"the SQLite store .*services=\[sessions\]"):
        await store.get("a")

    class Unstarted(MemoryStore):
        async def create(self, *_: Any) -> Any:
            return await store.get("a")

    site = Site(clock, store=Unstarted())
    check_plain_500(await site.login())
    check_log(caplog, "the SQLite store is not started", "services=[sessions]")
    await site.sessions.close()


async def test_ending_a_session_starts_what_was_not_started(
    clock: FakeClock, tmp_path: Path
) -> None:
    """Also where no revocations are looked up before: the first operation starts the sessions."""
    site = Site(clock, store=SQLiteStore(tmp_path / "sessions.db", clock=clock))
    verifier = Verifier.trusting(site.sessions.signer, clock=clock)
    app = JWTMiddleware(site.routes, verifier, hooks=[], clock=clock)
    path = f"/sessions/{'a' * 30}"
    answer = await call(app, http(path, method="DELETE", token=signed(site, clock)))
    assert answer.status == 404
    await site.sessions.close()


def signed(site: Site, clock: FakeClock) -> str:
    """Return a token of the site's own signer."""
    return site.sessions.signer.sign({"sub": "alice", "exp": clock() + 60, "jti": "j"})


async def test_routes_outside_the_middleware_name_the_remedy(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in the set-up is a 500 like any other, and the log says what to write."""
    site = await make()
    check_plain_500(await call(site.routes, http("/sessions")))
    check_log(caplog, "SessionRoutes stands outside JWTMiddleware")


def logged(error: Exception, secret: str) -> list[str]:
    """Return what `log_fault` writes."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("linqi")
    logger.addHandler(handler)
    try:
        log_fault("it raised", error, [secret])
    finally:
        logger.removeHandler(handler)
    return lines


@given(secret=st.text(min_size=1, max_size=40), around=st.text(max_size=10))
def test_no_message_that_repeats_a_secret_is_logged(secret: str, around: str) -> None:
    """Plain, escaped, in other letters or cut: the message is left out."""
    for text in (secret, repr(secret), secret.upper(), secret[: max(4, len(secret) // 2)]):
        try:
            raise ValueError(around + text + around)
        except ValueError as error:
            (line,) = logged(error, secret)
            assert "left out" in line
            assert "test_route_faults.py" in line


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(None, "1"), (float("nan"), "1"), ("7", "1"), (-5, "1"), (2.1, "3"), (float("inf"), "86400")],
)
async def test_an_unavailable_with_an_odd_wait_is_still_a_503(
    make: Any, seconds: Any, wanted: str
) -> None:
    """The application raises it, with whatever it thinks stands for "unknown"."""

    def away(form: Any) -> None:
        raise Unavailable("the directory is away", retry_after=seconds)

    site = await make(authenticate=away)
    answer = await site.login()
    assert (answer.status, answer.header("retry-after")) == (503, wanted)
    assert [event.code for event in site.failures] == ["unavailable"]
