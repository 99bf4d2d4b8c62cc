"""The table [bridge] of linqi.toml: what it needs, and what `linqi check` says of it."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeClock
from linqi import JWTMiddleware, Key, KeySet
from linqi.cli import main
from linqi.config import InvalidConfig, build, load, wrap
from linqi.config.checker import check
from linqi.config.value_types import Instant, unix_seconds
from tokens import make

NOW = 1_800_000_000
TODAY = datetime.fromtimestamp(NOW, UTC)
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
BASE = """
[verify]
issuer = "https://shop.test"
audience = "shop"
[keys]
file = "keys.json"
[paths]
public = ["/login"]
[bridge]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a signing key."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    return tmp_path


def written(folder: Path, *lines: str, base: str = BASE) -> Path:
    """Write a configuration whose last table is [bridge]; return its path."""
    path = folder / "linqi.toml"
    path.write_text(base + "\n".join(lines) + "\n")
    return path


def usual(folder: Path, days: float = 30, *lines: str, base: str = BASE) -> Path:
    """Write a usual bridge that ends so many days from `NOW`."""
    until = (TODAY + timedelta(days=days)).isoformat()
    given = ('env = "SECRET_KEY"', f"until = {until}", "lifetime_seconds = 1800", *lines)
    return written(folder, *given, base=base)


def old_token(**changes: Any) -> str:
    """Return a token as of FastAPI's tutorial."""
    claims = {"sub": "alice", "exp": NOW + 1800} | changes
    return make(Key.from_secret(SECRET), claims, {"alg": "HS256", "typ": "JWT"})


async def test_a_file_alone_moves_a_client(folder: Path) -> None:
    """The token of the earlier system is accepted, and the response carries one of ours."""
    clock = FakeClock(NOW)
    environ = {"SECRET_KEY": SECRET}
    app = wrap(App(), usual(folder), environ=environ, hooks=[id], clock=clock)
    answer = await call(app, http(token=old_token()))
    assert answer.status == 200
    assert answer.successor is not None
    assert isinstance(app, JWTMiddleware)
    assert app.verifier.verify(answer.successor).subject == "alice"
    clock.move(31 * 86400)
    assert (await call(app, http(token=old_token(exp=clock() + 60)))).status == 401


async def test_the_application_refuses_a_user_at_the_move(folder: Path) -> None:
    """`authorize_move` is an option of `wrap` and of `build`."""
    options: Any = {"environ": {"SECRET_KEY": SECRET}, "hooks": [id], "clock": FakeClock(NOW)}
    app = wrap(App(), usual(folder), authorize_move=lambda _: False, **options)
    answer = await call(app, http(token=old_token()))
    assert (answer.status, answer.successor) == (200, None)


@pytest.mark.parametrize(
    ("lines", "place", "says"),
    [
        (['env = "SECRET_KEY"'], "until", "set the date"),
        (['env = "SECRET_KEY"', "until = 2027-03-01"], "lifetime_seconds", "lifetime that the"),
        (["until = 2027-03-01", "lifetime_seconds = 60"], "env", "variable or the file"),
        (
            ['env = "A"', 'file = "b"', "until = 2027-03-01", "lifetime_seconds = 60"],
            "env",
            "file is set too",
        ),
        (
            ['env = "ABSENT"', "until = 2027-03-01", "lifetime_seconds = 60"],
            "env",
            "is not set",
        ),
        (
            ['file = "absent"', "until = 2027-03-01", "lifetime_seconds = 60"],
            "file",
            "does not exist",
        ),
        (
            ['env = "WEAK"', "until = 2027-03-01", "lifetime_seconds = 60"],
            "env",
            "let users sign in again",
        ),
        (
            ['env = "TWO"', "until = 2027-03-01", "lifetime_seconds = 60"],
            "env",
            "expected one key",
        ),
        (
            ['file = "keys.json"', "until = 2027-03-01", "lifetime_seconds = 60"],
            "file",
            "signs our own tokens too",
        ),
    ],
)
def test_a_bridge_that_cannot_be_built_says_what_is_missing(
    folder: Path, lines: list[str], place: str, says: str
) -> None:
    """With the key of the table, also for `linqi check`."""
    two = {"keys": [Key.generate("HS256").private_jwk() for _ in range(2)]}
    environ = {"SECRET_KEY": SECRET, "WEAK": "secret", "TWO": json.dumps(two), "A": SECRET}
    path = written(folder, *lines)
    with pytest.raises(InvalidConfig) as refused:
        build(load(path, environ), environ=environ)
    found = {(fault.table, fault.key): fault.expected for fault in refused.value.details}
    assert says in found["bridge", place]


def test_a_bridge_without_signing_keys_is_refused(folder: Path) -> None:
    """There would be no token of ours to move to, and no issuer whose users they are."""
    path = usual(folder, base="[bridge]\n")
    with pytest.raises(InvalidConfig, match="needs signing keys"):
        build(load(path, {}), environ={"SECRET_KEY": SECRET})


@pytest.mark.parametrize(
    ("days", "code", "severity", "says"),
    [
        (30, "bridge-open", "note", "for 30.0 more days"),
        (0.5, "bridge-open", "note", "for 0.5 more days"),
        (0, "bridge-closed", "warning", "0.0 days ago"),
        (-3, "bridge-closed", "warning", "3.0 days ago"),
        (400, "bridge-far", "warning", "for 400 more days"),
    ],
)
def test_check_says_how_long_the_bridge_is_open(
    folder: Path, days: float, code: str, severity: str, says: str
) -> None:
    """The days left, that it is over, or that it is too far ahead."""
    path = usual(folder, days)
    result = check(path, {"SECRET_KEY": SECRET}, clock=lambda: NOW)
    (finding,) = [f for f in result.findings if f.table == "bridge"]
    assert (finding.code, finding.severity, finding.key) == (code, severity, "until")
    assert says in finding.reason


def test_check_says_where_tokens_are_not_replaced(folder: Path) -> None:
    """Because sessions end earlier, or nothing slides."""
    environ = {"SECRET_KEY": SECRET}
    long = written(folder, 'env = "SECRET_KEY"', "until = 2027-03-01", "lifetime_seconds = 691200")
    assert "bridge-kept" in {f.code for f in check(long, environ, clock=lambda: NOW).findings}
    fixed = usual(folder, base=BASE.replace("[bridge]", "[renewal]\nsliding = false\n[bridge]"))
    codes = {f.code for f in check(fixed, environ, clock=lambda: NOW).findings}
    assert "bridge-unanswered" in codes
    fine = {f.code for f in check(usual(folder), environ, clock=lambda: NOW).findings}
    assert fine.isdisjoint({"bridge-kept", "bridge-unanswered"})


def test_check_says_that_the_cookie_of_the_earlier_system_is_read(folder: Path) -> None:
    """And that it is of no use where its tokens are not accepted."""
    cookies = """[http]
accept = ["cookie"]
[cookies]
origins = ["https://shop.test"]
previous_name = "fastapiusersauth"
[bridge]
"""
    base = BASE.replace("[bridge]\n", cookies)
    environ = {"SECRET_KEY": SECRET}

    def found(path: Path) -> dict[str, str]:
        return {f.code: f.severity for f in check(path, environ, clock=lambda: NOW).findings}

    assert found(usual(folder, base=base))["previous-cookie"] == "note"
    without = written(folder, base=base.replace("[bridge]\n", ""))
    assert found(without)["previous-cookie"] == "warning"


def test_a_file_without_the_table_has_no_finding_about_it(folder: Path) -> None:
    """What is off shows nowhere."""
    path = written(folder, base=BASE.replace("[bridge]\n", ""))
    assert not [f for f in check(path, {}, clock=lambda: NOW).findings if "bridge" in f.code]


def test_an_instant_is_a_date_or_has_a_zone() -> None:
    """A local time would be another instant on each machine."""
    kind = Instant()
    for text, instant in (
        ("2027-03-01", datetime(2027, 3, 1, tzinfo=UTC)),
        ("2027-03-01T02:00:00+02:00", datetime(2027, 3, 1, tzinfo=UTC)),
        ("2027-03-01 00:00:00Z", datetime(2027, 3, 1, tzinfo=UTC)),
    ):
        value = kind.parse(text)
        assert kind.fits(value)
        assert isinstance(value, date)
        assert unix_seconds(value) == instant.timestamp()
    for other in ("soon", "2027-03-01T00:00:00", "2027-13-01", "", "01.03.2027"):
        assert not kind.fits(kind.parse(other))
    for wrong in (1_800_000_000, True, "2027-03-01", None):
        assert not kind.fits(wrong)


def test_the_date_can_be_set_by_a_variable(folder: Path) -> None:
    """As all keys of the file can."""
    path = usual(folder)
    config = load(path, {"LINQI_BRIDGE__UNTIL": "2027-02-01"})
    assert unix_seconds(config.bridge.until) == datetime(2027, 2, 1, tzinfo=UTC).timestamp()


def test_the_check_runs_from_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the clock of the machine."""
    monkeypatch.setenv("SECRET_KEY", SECRET)
    until = datetime.now(UTC) + timedelta(days=10)
    lines = ('env = "SECRET_KEY"', f"until = {until.isoformat()}", "lifetime_seconds = 1800")
    assert main(["check", str(written(folder, *lines))]) == 0
    assert "accepted for 10.0 more days" in " ".join(capsys.readouterr().out.split())
