"""The formats of access logs: every one gives the same requests."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linqi.errors import ConfigurationError
from linqi_tune.evidence.access_log import LogMeasurements, LogSource, UnreadableLog, read_logs
from linqi_tune.evidence.log_detection import masked
from linqi_tune.evidence.log_engine import LogEngine, identifier, literal
from linqi_tune.evidence.log_formats import FORMATS

LOGS = Path(__file__).parent / "logs"
"""The same five requests in each file: alice at 0 and 60 s (401), bob at 5 and 100 s, and a crawler
without a name at 61 s."""
BEGAN = 1795630351
NGINX = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
    ' "$http_referer" "$http_user_agent"'
)
APACHE = r"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""

WITH_USERS = {
    "combined.log": "combined",
    "combined_rest.log": "combined",
    "common.log": "common",
    "vhost_combined.log": "vhost_combined",
    "forwarded.log": "forwarded",
    "iis.log": "iis",
    "nginx_json.log": "json",
    "epochs.json": "json",
    "caddy.log": "caddy",
    "traefik.log": "traefik",
    "traefik_clf.log": "combined",
    "docker.log": "combined in docker json-file",
    "docker_json.log": "json in docker json-file",
    "syslog.log": "combined in syslog",
    "syslog_5424.log": "combined in syslog of RFC 5424",
    "journald.log": "combined in journald",
    "kubernetes.log": "combined in Kubernetes",
    "compose.log": "combined in Docker Compose",
    "table.csv": "csv",
}
WITH_ADDRESSES = {
    **WITH_USERS,
    "alb.log": "alb",
    "cloudfront.log": "cloudfront",
    "gcp.log": "gcp",
    "haproxy.log": "haproxy in syslog",
}
for name in ("docker_json.log", "epochs.json", "table.csv"):
    del WITH_ADDRESSES[name]


def read(*paths: str | Path, session: str = "user", **more: Any) -> LogMeasurements:
    """Read logs with their traffic."""
    return read_logs(LogSource(paths=paths, session=session, with_traffic=True, **more))


@pytest.mark.parametrize(("name", "form"), WITH_USERS.items())
def test_a_format_is_detected_and_its_users_are_told_apart(name: str, form: str) -> None:
    """Times, statuses, users and paths are the same whatever the format."""
    log = read(LOGS / name)
    told = log.summary
    assert told.format == form
    assert (told.lines, told.malformed, told.nameless, told.visits) == (5, 0, 1, 4)
    assert (told.sessions, told.refused) == (2, 1)
    assert told.began == pytest.approx(BEGAN, abs=0.7)
    assert [list(pages) for pages in log.histories.pages] == [[0, 60], [5, 100]]
    assert log.traffic is not None
    assert [(one.method, one.path, one.requests) for one in log.traffic.endpoints] == [
        ("GET", "/cart", 2),
        ("GET", "/me", 1),
        ("GET", "/orders/{id}", 1),
    ]
    assert log.traffic.endpoints[2].example == "/orders/7"


@pytest.mark.parametrize(("name", "form"), WITH_ADDRESSES.items())
def test_a_format_is_detected_and_its_addresses_are_told_apart(name: str, form: str) -> None:
    """The first address of a list counts, without its port."""
    for session in ("address", "host"):
        log = read(LOGS / name, session=session)
        assert log.summary.format == form
        assert (log.summary.visits, log.summary.sessions, log.summary.nameless) == (5, 3, 0)
        assert [list(pages) for pages in log.histories.pages] == [[0, 60], [5, 100], [61]]


def test_every_format_by_name_has_a_sample() -> None:
    """A format that no file shows is not tested."""
    shown = {form.partition(" in ")[0] for form in WITH_ADDRESSES.values()} | {"csv", "parquet"}
    assert shown == set(FORMATS)


@pytest.mark.parametrize("form", [NGINX, APACHE])
def test_a_format_string_is_read_as_nginx_and_apache_write_it(form: str) -> None:
    """Both give what the named format gives."""
    assert read(LOGS / "combined.log", format=form).histories.pages == (
        read(LOGS / "combined.log", format="combined").histories.pages
    )


@pytest.mark.parametrize(
    ("form", "line", "session"),
    [
        ('$msec $cookie_sid "$request" $status', '{at}.250 s1 "GET /a HTTP/1.1" 200', "cookie_sid"),
        ('$msec $cookie_sid "$request" $status', '{at}.250 s1 "GET /a HTTP/1.1" 200', "cookie:sid"),
        (
            '%{msec}t %>s \\"%r\\" \\"%{X-Session}i\\"',
            '{at}250 200 "GET /a HTTP/1.1" "s1"',
            "http_x_session",
        ),
        ("%{sec}t %{sid}C %U %s", "{at} s1 /a 200", "cookie_sid"),
        (
            '[$time_iso8601] ($status) "$request" "$http_cookie"',
            '[2026-11-25T19:12:31+01:00] (200) "GET /a HTTP/1.1" "theme=x; sid=s1; b=c"',
            "cookie:sid",
        ),
    ],
)
def test_a_format_string_names_its_fields(
    tmp_path: Path, form: str, line: str, session: str
) -> None:
    """Variables, headers and cookies can name the person."""
    path = tmp_path / "own.log"
    path.write_text(line.format(at=BEGAN) + "\n")
    log = read(path, format=form, session=session)
    assert (log.summary.visits, log.summary.nameless) == (1, 0)
    assert log.summary.began == pytest.approx(BEGAN, abs=0.3)
    assert log.traffic is not None
    assert log.traffic.endpoints[0].path == "/a"


@pytest.mark.parametrize(
    ("name", "session"),
    [
        ("combined_rest.log", "1"),
        ("combined_rest.log", "2"),
        ("combined_rest.log", "trace"),
        ("cloudfront.log", "cookie:sid"),
        ("caddy.log", "cookie:sid"),
        ("caddy.log", "request.client_ip"),
        ("iis.log", "c-ip"),
        ("table.csv", "agent"),
    ],
)
def test_the_person_is_named_by_any_field(name: str, session: str) -> None:
    """By its place or name after the user agent, by a cookie, a member or a column."""
    assert read(LOGS / name, session=session).summary.sessions in (2, 3, 5)


def test_a_member_with_a_dot_is_one_name_or_two_levels(tmp_path: Path) -> None:
    """Objects, lists, empty values and ``-`` name no person."""
    path = tmp_path / "a.json"
    path.write_text(
        '{"ts": 1795630351, "session": {"id": 7}, "status": 200}\n'
        '{"ts": 1795630352, "session.id": "7"}\n'
        '{"ts": 1795630353, "session": {"id": {"x": 1}}}\n'
        '{"ts": 1795630354, "session": {"id": "-"}}\n'
        '{"ts": 1795630355, "session": {"id": null}}\n'
        '{"ts": true, "session": {"id": 7}}\n'
        '{"ts": "yesterday", "session": {"id": 7}}\n'
        "[1]\n"
    )
    told = read(path, session="session.id").summary
    assert (told.lines, told.malformed, told.visits, told.sessions) == (8, 3, 2, 1)
    assert told.nameless == 3


TIMES = (
    "1795630351",
    "1795630351.0",
    "1795630351000",
    "1795630351000000",
    "1795630351000000000",
    "2026-11-25T18:12:31Z",
    "2026-11-25T19:12:31+01:00",
    "2026-11-25T19:12:31+0100",
    "2026-11-25 18:12:31,000",
    "2026-11-25T18:12:31",
    "2026-11-25T18:12:31.000000001Z",
    "25/Nov/2026:19:12:31 +0100",
    "25/Nov/2026:12:42:31 -0530",
    "25/Nov/2026:18:12:31",
)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_time_is_read_whatever_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Without a zone it is UTC, wherever the tuner runs."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    path = tmp_path / "a.json"
    path.write_text("".join(f'{{"when": "{at}", "user": "alice"}}\n' for at in TIMES))
    try:
        told = read(path, time="when").summary
    finally:
        monkeypatch.undo()
        time.tzset()
    assert told.malformed == 0
    assert told.began == pytest.approx(BEGAN, abs=0.01)
    assert told.ended == pytest.approx(BEGAN, abs=0.01)


def test_packed_files_patterns_and_parquet_are_read(tmp_path: Path) -> None:
    """All packings give the same, in whatever order the files are named."""
    lines = (LOGS / "combined.log").read_bytes().splitlines(keepends=True)
    whole = read(LOGS / "combined.log")
    (tmp_path / "access.log").write_bytes(b"".join(lines[3:]))
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(b"".join(lines[:2])))
    (tmp_path / "access.log.2").write_bytes(lines[2])
    if shutil.which("zstd"):
        (tmp_path / "rest").write_bytes(lines[2])
        (tmp_path / "access.log.2").unlink()
        subprocess.run(
            [shutil.which("zstd"), "-q", tmp_path / "rest", "-o", tmp_path / "access.log.2.zst"],
            check=True,
        )
    log = read(str(tmp_path / "access.log*"))
    assert log.histories.pages == whole.histories.pages
    assert log.summary.lines == 5
    with LogEngine() as engine:
        engine.run(
            f"COPY (SELECT * FROM read_csv({literal(str(LOGS / 'table.csv'))}))"  # noqa: S608
            f" TO {literal(str(tmp_path / 'a.parquet'))}"
        )
        engine.run(
            f"COPY (SELECT * FROM read_csv({literal(str(LOGS / 'combined.log'))},"  # noqa: S608
            " header=false,"
            " delim=chr(1), quote='', columns={'line': 'VARCHAR'}))"
            f" TO {literal(str(tmp_path / 'all.log.zst'))}"
            " (HEADER false, QUOTE '', ESCAPE '', DELIM '\t', COMPRESSION zstd)"
        )
    assert read(tmp_path / "a.parquet").histories.pages == whole.histories.pages
    assert read(tmp_path / "a.parquet").summary.format == "parquet"
    assert read(tmp_path / "all.log.zst").histories.pages == whole.histories.pages


def test_the_first_malformed_line_is_shown_without_its_secrets(tmp_path: Path) -> None:
    """The message names the option; tokens, cookies and long ids are masked."""
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
    path = tmp_path / "a.log"
    path.write_text(
        f'what is this? GET /a?token={token} Authorization: Bearer {token} sid=s-secret-1 "x"\n' * 3
    )
    for form in ("", "combined", "json"):
        with pytest.raises(UnreadableLog, match="--log-format") as caught:
            read(path, format=form)
        text = str(caught.value)
        assert "what is this?" in text
        assert token[:25] not in text
        assert "s-secret-1" not in text
    assert "hunter2" not in masked('{"password": "hunter2", "cookie": "a=hunter2"}')
    assert masked("x" * 10 + "\x1b[31m\x00") == "xxxxxxxxxx?[31m?"
    assert len(masked("a b " * 1_000)) <= 170


@pytest.mark.parametrize("content", [b"", b"\n\n\n", b"one\ntwo\nthree\n", b"x" * 600_000])
def test_a_log_that_says_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, of another format, or one endless line."""
    path = tmp_path / "a.log"
    path.write_bytes(content)
    with pytest.raises(UnreadableLog, match=r"a\.log"):
        read(path)


def test_a_log_without_sessions_is_refused_with_the_option() -> None:
    """The message names ``--log-session`` and the field."""
    with pytest.raises(UnreadableLog, match=r"'sid'.*--log-session"):
        read(LOGS / "common.log", session="sid")


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    """As a rotation leaves it that was interrupted."""
    path = tmp_path / "torn.log.gz"
    path.write_bytes(gzip.compress((LOGS / "combined.log").read_bytes() * 2_000)[:-200])
    with pytest.raises(UnreadableLog):
        read(path)
    with pytest.raises(UnreadableLog, match=r"nowhere\*"):
        read(tmp_path / "nowhere*")


def test_hostile_lines_are_malformed_and_the_rest_is_read(tmp_path: Path) -> None:
    """Endless, not UTF-8, with NUL, with quotes in quotes, and deep JSON."""
    good = (LOGS / "combined.log").read_bytes().splitlines()
    hostile = [
        b"y" * 400_000,
        b"\xff\xfe\x00\x01",
        b"a\x00b",
        b'1.2.3.4 - x [25/Nov/2026:19:12:31 +0100] "GET / HTTP/1.1',
        good[0].replace(b"25/Nov", b"99/Foo"),
        b"'; DROP TABLE requests; --",
    ]
    escaped = good[0].replace(b"GET /cart", b'GET /c\\"art\\\\')
    path = tmp_path / "a.log"
    path.write_bytes(b"\n".join([*hostile, *good * 3, escaped]) + b"\n")
    told = read(path).summary
    assert (told.visits, told.malformed) == (13, 6)
    deep = tmp_path / "deep.json"
    line = b'{"ts": 1795630351, "user": "alice", "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"
    deep.write_bytes(b'{"ts": 1795630351, "user": "alice"}\n' * 2 + line)
    assert read(deep).summary.visits in (2, 3)


@pytest.mark.parametrize(
    "field",
    [
        "x'), (SELECT 1)--",
        '"; DROP TABLE requests; --',
        "$.a[*]",
        "a~b/c",
        "cookie:x'|(",
        "(?i)[",
        "9999999999",
        "__class__",
    ],
)
def test_the_name_of_a_field_is_never_sql(field: str) -> None:
    """Whatever ``--log-session`` and ``--log-time`` hold is the name of a field."""
    for name in ("combined_rest.log", "caddy.log", "table.csv", "iis.log"):
        with pytest.raises(UnreadableLog, match="--log-session"):
            read(LOGS / name, session=field)
        with pytest.raises(UnreadableLog, match="--log-time"):
            read(LOGS / name, time=field)


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
@settings(max_examples=50, deadline=None)
def test_any_text_stays_text_in_sql(text: str) -> None:
    """Literals come back as they went in."""
    with LogEngine() as engine:
        assert engine.row(f"SELECT {literal(text)} AS {identifier(text or 'x')}") == (text,)


@given(st.lists(st.binary(max_size=120), max_size=5), st.sampled_from(["combined", "json"]))
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_requests_or_malformed(lines: list[bytes], form: str) -> None:
    """Nothing that a log may hold raises anything but that it cannot be read."""
    path = LOGS.parent / ".any.log"
    path.write_bytes(b"\n".join(lines))
    try:
        read(path, format=form)
    except UnreadableLog:
        pass
    finally:
        path.unlink()


def test_a_wrong_option_is_named() -> None:
    """Formats that are none, format strings without an end of a field, and no session."""
    for wrong in ("clf", "$a$b", "%{%Y}t %u", "50%"):
        with pytest.raises(ConfigurationError, match="--log-format"):
            read(LOGS / "combined.log", format=wrong)
    for wrong in ("", "cookie:", "a\nb"):
        with pytest.raises(ConfigurationError, match="--log-session"):
            read(LOGS / "combined.log", session=wrong)


def test_no_file_of_a_run_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the engine is private, and is gone after a run and after a fault."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with LogEngine() as engine:
        engine.run("CREATE TABLE a AS SELECT 1 AS b")
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
    with pytest.raises(UnreadableLog):
        read(LOGS / "common.log", session="sid")
    assert not list(tmp_path.iterdir())
