"""Issuers in private networks: http by name, other addresses, private authorities, tokens."""

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import (
    ConfigurationError,
    Key,
    LoggingHook,
    RemoteAccess,
    RemoteKeys,
    RemoteLimits,
    Verifier,
)
from linqi.cli import main
from linqi.config import InvalidConfig, build, load
from linqi.config.checker import check
from linqi.errors import FetchFailed, TokenError, Unavailable
from linqi.events import Event, KeysNotFetched
from linqi.jwks.access import read_token
from linqi.jwks.http import HttpFetch
from linqi.jwks.location import KeySetLocation
from linqi.jwks.url import is_loopback_url, origin_of, url_fault
from private_server import Answer, Asked, Authority, Server, private_server, resolve
from tokens import make, verified

KEY = Key.generate("RS256")
KEYS = {"keys": [KEY.public_jwk()]}
METADATA = "/realms/shop/.well-known/openid-configuration"
CERTS = "/realms/shop/protocol/openid-connect/certs"
TOKEN = "header.payload-of-a-service-account.signature"
PLAIN = RemoteAccess(allow_http=True)


def keycloak(issuer: str, jwks_uri: str = "", keys: Any = KEYS) -> Callable[[Asked], Answer]:
    """Return a realm of Keycloak, whose metadata name `issuer`."""

    def answer(asked: Asked) -> Answer:
        own = f"http://{asked.headers['host']}{CERTS}"
        if asked.path == METADATA:
            return Answer({"issuer": issuer, "jwks_uri": jwks_uri or own})
        return Answer(keys) if asked.path == CERTS else Answer(status=404)

    return answer


async def outcome(issuer: str, **options: Any) -> str:
    """Fetch the keys as a worker does; return the last error, or an empty string."""
    return (await fetched(issuer, **options)).state().last_error


async def fetched(issuer: str, **options: Any) -> RemoteKeys:
    """Return the keys after one fetch."""
    keys = RemoteKeys(issuer, ["RS256"], **options)
    await keys.start()
    await keys.close()
    return keys


# -- the grammar of a URL ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["https://key_cloak:8443/realms/a", "https://_dmarc.id.example", "https://a_b_.internal"]
)
def test_an_underscore_is_part_of_a_name(url: str) -> None:
    """The names of Compose services have it."""
    assert url_fault(url, "it") is None


@pytest.mark.parametrize(
    "url",
    [
        "https://good@evil.example/",
        "https://good_service@evil.example/",
        "https://good_service:8080@evil.example/",
        "https://good_service\\@evil.example/",
        "https://good_service\\.evil.example/",
        "https://good_service#@evil.example/",
        "https://good_service?@evil.example\n/",
        "https://good_service%40evil.example/",
        "https://good%5fservice/",
        "https://good\uff3fservice/",
        "https://good\u2024evil.example/",
        "https://good service/",
        "https://good_service:80:81/",
        "https://good_service:/",
        "https://[::1]_/",
        "https://[good_service]/",
        "https:///good_service/",
        "https:good_service/",
        "http+unix://%2Frun%2Fdocker.sock/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
    ],
)
def test_j3_two_readers_never_see_two_hosts(url: str) -> None:
    """J3: what looks like one host and leads to another is no URL, with allow_http neither."""
    assert url_fault(url, "it", allow_http=True) is not None


PIECES = [
    "good",
    "_",
    ".",
    "evil.example",
    "@",
    "\\",
    "/",
    ":80",
    "#",
    "?",
    "%40",
    "[::1]",
    " ",
    "-",
]


@given(
    st.sampled_from(["http://", "https://"]),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
)
def test_j3_a_url_that_is_read_has_one_host_for_every_reader(scheme: str, rest: str) -> None:
    """J3: the client that connects, the standard library and the origin agree on the host."""
    url = scheme + rest
    if url_fault(url, "it", allow_http=True) is not None:
        return
    origin = origin_of(url)
    assert origin is not None
    assert httpx2.URL(url).host == urlsplit(url).hostname == origin[1].strip("[]")
    assert (httpx2.URL(url).port or {"http": 80, "https": 443}[origin[0]]) == origin[2]


# -- allow_http ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        {"issuer": "http://key_cloak:8080/realms/shop"},
        {"issuer": "shop", "url": "http://key_cloak:8080/certs"},
        {"issuer": "https://id.example", "discovery_url": "http://key_cloak:8080/metadata"},
    ],
)
def test_j3_http_to_another_host_is_allowed_by_name_only(where: dict[str, str]) -> None:
    """J3: the fault names the setting; with it each configured URL may be http."""
    (fault,) = KeySetLocation(**where).faults()
    assert "allow_http" in fault
    assert KeySetLocation(**where, access=PLAIN).faults() == []


HTTP_ISSUER = {"issuer": "http://key_cloak:8080/realms/shop"}
BY_NAME = {"issuer": "http://id.local:8080", "discovery_url": "http://key_cloak:8080/metadata"}
INSIDE = {"issuer": "https://id.example", "discovery_url": "http://key_cloak:8080/metadata"}
DEVELOPMENT = {"issuer": "http://localhost:8080", "discovery_url": "http://key_cloak:8080/metadata"}


@pytest.mark.parametrize(
    ("where", "jwks_uri", "is_allowed"),
    [
        (HTTP_ISSUER, "http://key_cloak:8080/certs", True),
        (HTTP_ISSUER, "http://KEY_CLOAK:8080/certs", True),
        (HTTP_ISSUER, "https://id.example/certs", True),
        (HTTP_ISSUER, "http://key_cloak:6379/", False),
        (HTTP_ISSUER, "http://key_cloak./certs", False),
        (HTTP_ISSUER, "http://key_cloak.:8080/certs", False),
        (HTTP_ISSUER, "http://key_cloak:8080@evil.example/", False),
        (HTTP_ISSUER, "http://database:8080/certs", False),
        (HTTP_ISSUER, "http://169.254.169.254/latest/meta-data", False),
        (HTTP_ISSUER, "http://[fd00:ec2::254]/latest/meta-data", False),
        (HTTP_ISSUER, "http://2852039166/latest/meta-data", False),
        (HTTP_ISSUER, "http://127.0.0.1:8080/certs", False),
        (HTTP_ISSUER, "http://127.1:8080/certs", False),
        (HTTP_ISSUER, "http://localhost:8080/certs", False),
        (HTTP_ISSUER, "file:///etc/passwd", False),
        (HTTP_ISSUER, None, False),
        (BY_NAME, "http://id.local:8080/certs", True),
        (BY_NAME, "http://key_cloak:8080/certs", True),
        (INSIDE, "https://id.example/certs", True),
        (INSIDE, "http://id.example/certs", False),
        (DEVELOPMENT, "http://key_cloak:8080/certs", True),
        (DEVELOPMENT, "http://localhost:8080/certs", False),
        ({"issuer": "https://id.example"}, "http://id.example/certs", False),
        ({"issuer": "https://id.example"}, "http://127.0.0.1/certs", False),
        ({"issuer": "http://127.0.0.1:8080"}, "http://localhost:8081/certs", True),
    ],
)
def test_j3_metadata_name_http_only_where_the_configuration_does(
    where: dict[str, str], jwks_uri: str | None, is_allowed: bool
) -> None:
    """J3: a party that changes the metadata on their way chooses no address of this network."""
    location = KeySetLocation(**where, access=PLAIN)
    assert (location.jwks_uri_fault(jwks_uri) is None) is is_allowed
    if not is_loopback_url(location.metadata_url) and str(jwks_uri).startswith("http:"):
        assert KeySetLocation(**where).jwks_uri_fault(jwks_uri) is not None


async def test_keycloak_in_compose_by_its_service_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public issuer is compared; metadata and keys come from the name inside the network."""
    resolve(monkeypatch, "key_cloak")
    issuer = "https://id.shop.example/realms/shop"
    with private_server(keycloak(issuer)) as server:
        keys = RemoteKeys(
            issuer,
            ["RS256"],
            discovery_url=f"http://key_cloak:{server.port}{METADATA}",
            access=PLAIN,
        )
        verifier = Verifier(keys.trust("shop"), clock=lambda: 1000)
        token = make(KEY, {"iss": issuer, "aud": "shop", "sub": "alice", "iat": 900, "exp": 1100})
        assert (await verified(verifier, token)).subject == "alice"
        assert server.paths == [METADATA, CERTS]
        await keys.start()
        await keys.close()


async def test_rfc_8414_metadata_are_read_by_their_url() -> None:
    """Where only ``oauth-authorization-server`` exists, with the issuer's path after it."""
    path = "/.well-known/oauth-authorization-server/realms/shop"

    def answer(asked: Asked) -> Answer:
        keys = f"http://{asked.headers['host']}/keys"
        if asked.path == path:
            return Answer({"issuer": "https://as.example/realms/shop", "jwks_uri": keys})
        return Answer(KEYS) if asked.path == "/keys" else Answer(status=404)

    with private_server(answer) as server:
        url = f"http://127.0.0.1:{server.port}{path}"
        assert await outcome("https://as.example/realms/shop", discovery_url=url) == ""


@pytest.mark.parametrize("named", ["https://id.example/realms/shop/", "https://evil.example", None])
async def test_j4_metadata_at_another_address_must_name_the_issuer(named: str | None) -> None:
    """J4: ``discovery_url`` changes the address and not what is compared."""
    with private_server(keycloak(named)) as server:  # type: ignore[arg-type]
        url = f"http://127.0.0.1:{server.port}{METADATA}"
        error = await outcome("https://id.example/realms/shop", discovery_url=url)
    assert "exactly equal" in error
    assert server.paths == [METADATA]


@pytest.mark.parametrize(
    "jwks_uri",
    ["http://169.254.169.254/latest/meta-data/", "http://database:5432/", "file:///etc/passwd"],
)
async def test_j3_forged_metadata_lead_to_no_request(
    monkeypatch: pytest.MonkeyPatch, jwks_uri: str
) -> None:
    """J3, server-side request forgery: with allow_http no other service is asked."""
    resolve(monkeypatch, "key_cloak", "database")
    with private_server(keycloak("shop", jwks_uri)) as server:
        url = f"http://key_cloak:{server.port}{METADATA}"
        asked: list[str] = []
        lookup = HttpFetch.__call__

        async def seen(self: HttpFetch, url: str, *arguments: Any) -> Any:
            asked.append(url)
            return await lookup(self, url, *arguments)

        monkeypatch.setattr(HttpFetch, "__call__", seen)
        assert "jwks_uri" in await outcome("shop", discovery_url=url, access=PLAIN)
    assert asked == [url]


async def test_j3_redirects_of_an_http_issuer_are_not_followed() -> None:
    """J3: neither those of the metadata nor those of the keys."""
    with private_server(lambda _: Answer(KEYS)) as inner:
        aim = f"http://127.0.0.1:{inner.port}/keys"
        moved = Answer(status=302, headers={"location": aim})
        with private_server(lambda _: moved) as server:
            url = f"http://127.0.0.1:{server.port}{METADATA}"
            assert "redirects" in await outcome("shop", discovery_url=url, access=PLAIN)
            assert "redirects" in await outcome("shop", url=url, access=PLAIN)
    assert inner.asked == []


def test_j3_http_for_one_issuer_is_for_no_other(tmp_path: Path) -> None:
    """J3: two issuers of one verifier; the second is refused as if it were alone."""
    entry = '[[issuers]]\nissuer = "http://{}:8080"\naudience = ["a"]\nalgorithms = ["RS256"]\n'
    (tmp_path / "linqi.toml").write_text(
        entry.format("one") + "allow_http = true\n" + entry.format("two")
    )
    with pytest.raises(ConfigurationError) as caught:
        build(load(tmp_path / "linqi.toml", {}), environ={})
    (fault,) = caught.value.faults
    assert "issuers.1" in fault
    assert "allow_http" in fault
    first = RemoteKeys("http://one:8080", ["RS256"], access=PLAIN)
    second = RemoteKeys("https://two.example", ["RS256"])
    Verifier([first.trust("a"), second.trust("a")])
    assert second.location.jwks_uri_fault("http://one:8080/keys") is not None


async def test_a_snapshot_of_another_address_is_not_used(tmp_path: Path) -> None:
    """The settings of this process decide, not those of the one that saved or shared it."""
    with private_server(keycloak("shop")) as server:
        plain = f"http://127.0.0.1:{server.port}{CERTS}"
        saved = (await fetched("shop", url=plain, share=tmp_path / "share")).snapshot()
    assert saved is not None
    used = RemoteKeys("shop", ["RS256"], url=plain, initial=saved)
    assert used.state().status == "fresh"
    moved = RemoteKeys("shop", ["RS256"], url="https://id.example/certs", initial=saved)
    assert moved.state().status == "cold"
    assert await outcome("shop", url=plain, share=tmp_path / "share") == ""
    shared = await fetched("shop", url="https://127.0.0.1:1/certs", share=tmp_path / "share")
    assert shared.state().status == "cold"


def test_everything_wrong_with_the_access_is_named_at_once() -> None:
    """Types, empty paths, and a token that http would show."""
    with pytest.raises(ConfigurationError) as caught:
        RemoteAccess(allow_http="yes", ca_file="", token_file=7)  # type: ignore[arg-type]
    assert len(caught.value.faults) == 3
    with pytest.raises(ConfigurationError, match="in clear"):
        RemoteAccess(allow_http=True, token_file="token")
    both = KeySetLocation(issuer="a", url="https://a.example", discovery_url="https://b.example")
    assert "remove one" in both.faults()[0]
    with pytest.raises(ConfigurationError, match="client"):
        HttpFetch(client=object(), access=RemoteAccess(ca_file="ca.crt"))


# -- a private authority -------------------------------------------------------------------------


@pytest.fixture
def authority() -> Authority:
    """Return an authority that no one trusts by default."""
    return Authority()


def ca_file(folder: Path, *authorities: Authority) -> Path:
    """Write the certificates of `authorities`, and return the file."""
    place = folder / "ca.crt"
    place.write_text("".join(one.pem for one in authorities))
    return place


async def test_a_private_authority_is_trusted_by_file_only(
    tmp_path: Path, authority: Authority
) -> None:
    """Without the file its server is refused; with it the keys are used."""
    context = authority.context(tmp_path, "127.0.0.1")
    with private_server(lambda _: Answer(KEYS), context) as server:
        url = f"https://127.0.0.1:{server.port}/keys"
        assert "CERTIFICATE_VERIFY_FAILED" in await outcome("shop", url=url)
        access = RemoteAccess(ca_file=ca_file(tmp_path, authority))
        assert await outcome("shop", url=url, access=access) == ""


async def test_j8_the_name_is_compared_also_with_a_private_authority(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of the authority for another service is refused; an underscore is compared."""
    resolve(monkeypatch, "key_cloak", "other")
    access = RemoteAccess(ca_file=ca_file(tmp_path, authority))
    context = authority.context(tmp_path, "key_cloak")
    with private_server(lambda _: Answer(KEYS), context) as server:
        url = f"https://key_cloak:{server.port}/keys"
        assert await outcome("shop", url=url, access=access) == ""
        url = f"https://other:{server.port}/keys"
        assert "CERTIFICATE_VERIFY_FAILED" in await outcome("shop", url=url, access=access)


async def test_j8_a_public_authority_cannot_stand_in_for_the_private_one(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J9: a man in the middle with a certificate that is trusted by default is refused."""
    public = Authority()
    (tmp_path / "public.pem").write_text(public.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    with private_server(lambda _: Answer(KEYS), public.context(tmp_path, "127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}/keys"
        assert await outcome("shop", url=url) == ""
        access = RemoteAccess(ca_file=ca_file(tmp_path, authority))
        assert "CERTIFICATE_VERIFY_FAILED" in await outcome("shop", url=url, access=access)


async def test_an_expired_authority_or_certificate_is_refused(tmp_path: Path) -> None:
    """The dates are checked for private authorities too."""
    old = Authority(days=-0.5)
    with private_server(lambda _: Answer(KEYS), old.context(tmp_path, "127.0.0.1")) as server:
        access = RemoteAccess(ca_file=ca_file(tmp_path, old))
        url = f"https://127.0.0.1:{server.port}/keys"
        assert "expired" in await outcome("shop", url=url, access=access)


async def test_a_replaced_authority_counts_from_the_next_request(
    tmp_path: Path, authority: Authority
) -> None:
    """Kubernetes swaps the folder behind the file by one link."""
    after = Authority()
    for name, pem in (("1", authority.pem), ("2", after.pem)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ca.crt").write_text(pem)
    (tmp_path / "..data").symlink_to(tmp_path / "1")
    (tmp_path / "ca.crt").symlink_to("..data/ca.crt")
    context = authority.context(tmp_path, "127.0.0.1")
    closing = Answer(KEYS, headers={"connection": "close"})
    with private_server(lambda _: closing, context) as server:
        url = f"https://127.0.0.1:{server.port}/keys"
        fetch = HttpFetch(access=RemoteAccess(ca_file=tmp_path / "ca.crt"))
        assert (await fetch(url, {})).status == 200
        server.move(after.context(tmp_path, "127.0.0.1"))
        with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(url, {})
        (tmp_path / "..next").symlink_to(tmp_path / "2")
        (tmp_path / "..next").replace(tmp_path / "..data")
        assert (await fetch(url, {})).status == 200
        (tmp_path / "..data").unlink()
        with pytest.raises(FetchFailed, match="cannot read ca_file"):
            await fetch(url, {})
        await fetch.aclose()


async def test_a_connection_of_an_authority_that_was_removed_is_not_used(
    tmp_path: Path, authority: Authority
) -> None:
    """The file may have been replaced because the authority is no longer to be trusted."""
    file = ca_file(tmp_path, authority)
    with private_server(lambda _: Answer(KEYS), authority.context(tmp_path, "127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}/keys"
        fetch = HttpFetch(access=RemoteAccess(ca_file=file))
        assert (await fetch(url, {})).status == 200
        ca_file(tmp_path, Authority("next"))
        with pytest.raises(FetchFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await fetch(url, {})
        await fetch.aclose()


async def test_a_request_under_way_survives_a_replaced_authority(
    tmp_path: Path, authority: Authority
) -> None:
    """The client of before is closed only at the change after this one."""
    may_answer, has_come = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.path == "/slow":
            has_come.set()
            may_answer.wait(10)
        return Answer(KEYS)

    file = ca_file(tmp_path, authority)
    with private_server(answer, authority.context(tmp_path, "127.0.0.1")) as server:
        url = f"https://127.0.0.1:{server.port}"
        fetch = HttpFetch(access=RemoteAccess(ca_file=file))
        slow = asyncio.create_task(fetch(f"{url}/slow", {}))
        await asyncio.to_thread(has_come.wait, 10)
        ca_file(tmp_path, Authority("next"), authority)
        assert (await fetch(f"{url}/fast", {})).status == 200
        may_answer.set()
        assert (await slow).status == 200
        await fetch.aclose()


async def test_the_time_of_a_fetch_begins_after_its_certificates_were_read(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That and the import of httpx2 take seconds on a busy machine, whatever the issuer does."""
    pipe = tmp_path / "ca.crt"
    os.mkfifo(pipe)
    loop = asyncio.get_running_loop()
    now = loop.time

    def write() -> None:
        with pipe.open("w") as opened:  # when the file is being read
            monkeypatch.setattr(loop, "time", lambda: now() + 30)
            pipe.unlink()
            ca_file(tmp_path, authority)  # a file for all later readers
            opened.write(authority.pem)

    with private_server(lambda _: Answer(KEYS), authority.context(tmp_path, "127.0.0.1")) as server:
        threading.Thread(target=write, daemon=True).start()
        url, access = f"https://127.0.0.1:{server.port}/keys", RemoteAccess(ca_file=pipe)
        limits = RemoteLimits(timeout=20)
        assert await outcome("shop", url=url, access=access, limits=limits) == ""


async def test_certificates_on_a_disk_that_hangs_are_a_failed_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that wait for the fetch are answered after a minute."""
    pipe = tmp_path / "ca.crt"
    os.mkfifo(pipe)
    loop = asyncio.get_running_loop()
    now = loop.time
    access = RemoteAccess(ca_file=pipe)
    asked = asyncio.create_task(outcome("shop", url="https://127.0.0.1:1/keys", access=access))
    writer = await asyncio.to_thread(pipe.open, "w")  # the file is being read
    try:
        monkeypatch.setattr(loop, "time", lambda: now() + 61)
        assert "the HTTP client was not made in 60 s" in await asked
    finally:
        writer.close()


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"\xff\xfe", b"A" * 1_048_577])
async def test_a_file_without_certificates_is_a_failed_fetch(
    tmp_path: Path, content: bytes
) -> None:
    """The error names the file or the setting, and shows nothing of the content."""
    (tmp_path / "ca.crt").write_bytes(content)
    access = RemoteAccess(ca_file=tmp_path / "ca.crt")
    error = await outcome("shop", url="https://127.0.0.1:1/", access=access)
    assert "ca_file" in error
    assert content.decode("latin-1")[:10] not in error or not content


# -- the token -----------------------------------------------------------------------------------


def write(file: Path, content: bytes) -> None:
    """Replace the content of a file, as kubelet does."""
    file.write_bytes(content)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Return a file with a token, as kubelet writes it."""
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path / "token"


async def test_the_token_is_read_for_each_request(token_file: Path) -> None:
    """Kubelet replaces it while the process runs."""
    with private_server(lambda _: Answer(KEYS)) as server:
        url = f"http://127.0.0.1:{server.port}/keys"
        fetch = HttpFetch(access=RemoteAccess(token_file=token_file), named_url=url)
        await fetch(url, {})
        write(token_file, b"second\n")
        await fetch(url, {}, b"a=b")
        await fetch.aclose()
    assert server.tokens == [f"Bearer {TOKEN}", "Bearer second"]
    assert [(one.method, one.body) for one in server.asked] == [("GET", b""), ("POST", b"a=b")]


async def test_j8_the_token_is_not_sent_where_only_the_metadata_lead(token_file: Path) -> None:
    """J9: an issuer that names another server would collect it there."""
    access = RemoteAccess(token_file=token_file)
    with private_server(keycloak("")) as thief:
        aim = f"http://127.0.0.1:{thief.port}{CERTS}"
        with private_server(keycloak("shop", aim)) as server:
            url = f"http://127.0.0.1:{server.port}{METADATA}"
            assert await outcome("shop", discovery_url=url, access=access) == ""
    assert server.tokens == [f"Bearer {TOKEN}"]
    assert thief.tokens == [None]


async def test_j8_the_token_does_not_follow_a_redirect(token_file: Path) -> None:
    """Nothing is sent to the other server at all."""
    access = RemoteAccess(token_file=token_file)
    with private_server(lambda _: Answer(KEYS)) as thief:
        moved = Answer(status=307, headers={"location": f"http://127.0.0.1:{thief.port}/"})
        with private_server(lambda _: moved) as server:
            url = f"http://127.0.0.1:{server.port}/keys"
            assert "redirects" in await outcome("shop", url=url, access=access)
    assert thief.asked == []


@pytest.mark.parametrize(
    "content",
    [b"", b"two tokens", b"a\r\nX-Injected: 1", b"a\x00b", b"caf\xc3\xa9", b"a" * 16_385],
)
async def test_j8_what_is_no_token_is_not_sent_and_not_shown(
    token_file: Path, content: bytes
) -> None:
    """It would end the header, or appear in the error of the HTTP client."""
    write(token_file, content)
    access = RemoteAccess(token_file=token_file)
    with private_server(lambda _: Answer(KEYS)) as server:
        url = f"http://127.0.0.1:{server.port}/keys"
        error = await outcome("shop", url=url, access=access)
    assert str(token_file) in error
    assert not content or content.decode("latin-1")[:12] not in error.replace(str(token_file), "")
    assert server.asked == []


async def test_j8_the_token_appears_nowhere(
    token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """J9: not in logs at debug level, events, errors, the state, snapshots or what objects show."""
    events: list[Event] = []
    caplog.set_level(logging.DEBUG)
    shown: list[object] = []
    for status in (200, 401, 403, 500):
        with private_server(lambda _, s=status: Answer(KEYS, s)) as server:  # type: ignore[misc]
            keys = await fetched(
                "shop",
                url=f"http://127.0.0.1:{server.port}/keys",
                access=RemoteAccess(token_file=token_file),
                hooks=[events.append, LoggingHook()],
            )
        assert server.tokens == [f"Bearer {TOKEN}"]
        shown += [keys, keys.state(), keys.snapshot(), keys.location, vars(keys._http)]
    failures = [event.detail for event in events if isinstance(event, KeysNotFetched)]
    assert ["token_file" in detail for detail in failures] == [True, True, False]
    text = caplog.text + repr(events) + repr(shown)
    assert "payload-of-a-service-account" not in text


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """And a folder in its place."""
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(FetchFailed, match="cannot read token_file"):
            read_token(place)


# -- a Kubernetes cluster ------------------------------------------------------------------------

CLUSTER = "https://kubernetes.default.svc.cluster.local"
API = "kubernetes.default.svc"


def api_server(jwks_uri: str) -> Callable[[Asked], Answer]:
    """Return what kube-apiserver answers with the default roles: nothing without a token."""
    documents = {
        "/.well-known/openid-configuration": (
            "application/json",
            {
                "issuer": CLUSTER,
                "jwks_uri": jwks_uri,
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            },
        ),
        "/openid/v1/jwks": ("application/jwk-set+json", KEYS),
    }

    def failed(status: int, reason: str) -> Answer:
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": reason, "reason": reason, "code": status}  # type: ignore[dict-item]
        return Answer(body, status, {"content-type": "application/json"})

    def answer(asked: Asked) -> Answer:
        sent = asked.headers.get("authorization")
        if sent != f"Bearer {TOKEN}":
            return failed(403, "Forbidden") if sent is None else failed(401, "Unauthorized")
        kind, document = documents[asked.path]
        if kind not in asked.headers["accept"]:
            return failed(406, "NotAcceptable")
        headers = {"content-type": kind, "cache-control": "public, max-age=3600"}
        return Answer(json.dumps(document).encode(), 200, headers)

    return answer


def pod_token(**changes: Any) -> str:
    """Return a projected service-account token, in the shape of Kubernetes 1.32."""
    claims = {
        "aud": ["shop"],
        "exp": 4607,
        "iat": 1000,
        "iss": CLUSTER,
        "jti": "7fa6a1f1-9d2b-4d3e-a6ec-5a3e8c0b2f53",
        "kubernetes.io": {
            "namespace": "billing",
            "node": {"name": "node-1", "uid": "1a3bd1f6-7bc0-4f65-9d2f-0e8f9c7c1b40"},
            "pod": {"name": "worker-0", "uid": "2b4ce2a7-8cd1-4a76-8e30-1f9a0d8d2c51"},
            "serviceaccount": {"name": "worker", "uid": "3c5df3b8-9de2-4b87-9f41-20ab1e9e3d62"},
            "warnafter": 4607,
        },
        "nbf": 1000,
        "sub": "system:serviceaccount:billing:worker",
    } | changes
    return make(KEY, claims, {"alg": "RS256", "kid": KEY.kid})


@pytest.fixture
def cluster(
    tmp_path: Path, authority: Authority, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return a function that starts an API server whose metadata name `jwks_uri`."""
    resolve(monkeypatch, CLUSTER.removeprefix("https://"), API)
    ca_file(tmp_path, authority)
    names = ("kubernetes", API, CLUSTER.removeprefix("https://"), "127.0.0.1")

    def start(jwks_uri: str) -> Any:
        return private_server(api_server(jwks_uri), authority.context(tmp_path, *names))

    return start


def settings(folder: Path, server: Server, key: str, path: str) -> Path:
    """Write the settings of the guide for a cluster, and return the file."""
    file = folder / "linqi.toml"
    file.write_text(
        f'[[issuers]]\nissuer = "{CLUSTER}"\naudience = ["shop"]\nalgorithms = ["RS256"]\n'
        f'{key} = "https://{API}:{server.port}{path}"\nca_file = "ca.crt"\ntoken_file = "token"\n'
        '[issuers.required_claims]\nsub = ["system:serviceaccount:billing:worker"]\n'
        '"kubernetes.io" = { namespace = "billing" }\n'
    )
    return file


async def test_tokens_of_a_cluster_are_verified(tmp_path: Path, cluster: Any) -> None:
    """From `linqi.toml`: the key set's URL, the CA and the token of the pod."""
    with cluster("https://172.18.0.2:6443/openid/v1/jwks") as server:
        file = settings(tmp_path, server, "jwks_url", "/openid/v1/jwks")
        verifier = build(load(file, {}), environ={}, clock=lambda: 2000).verifier
        found = await verified(verifier, pod_token())
        assert found.subject == "system:serviceaccount:billing:worker"
        assert found.claims["kubernetes.io"]["namespace"] == "billing"
        for change in (
            {"aud": [CLUSTER]},
            {"sub": "system:serviceaccount:other:worker"},
            {"kubernetes.io": {"namespace": "other"}},
            {"kubernetes.io": "billing"},
            {"iss": "https://kubernetes.default.svc"},
        ):
            with pytest.raises(TokenError, match=next(iter(change))):
                await verified(verifier, pod_token(**change))
        (keys,) = verifier.fetched_keys
        await keys.start()
        await keys.close()
    assert server.tokens == [f"Bearer {TOKEN}"]


async def test_j8_a_node_address_in_the_metadata_gets_no_token(
    tmp_path: Path, cluster: Any
) -> None:
    """The default ``jwks_uri`` of a cluster; the error says which setting to use instead."""
    with cluster("") as node, cluster(f"https://127.0.0.1:{node.port}/openid/v1/jwks") as server:
        path = "/.well-known/openid-configuration"
        file = settings(tmp_path, server, "discovery_url", path)
        verifier = build(load(file, {}), environ={}, clock=lambda: 2000).verifier
        with pytest.raises(Unavailable, match=r"answered with 403.*configure the URL of"):
            await verified(verifier, pod_token())
        (keys,) = verifier.fetched_keys
        await keys.start()
        await keys.close()
    assert set(server.tokens) == {f"Bearer {TOKEN}"}
    assert set(node.tokens) == {None}


async def test_a_cluster_refuses_a_request_without_or_with_an_old_token(
    tmp_path: Path, cluster: Any, token_file: Path
) -> None:
    """Anonymous is 403, an expired token 401; a replaced token then works without a restart."""
    with cluster("") as server:
        url = f"https://{API}:{server.port}/openid/v1/jwks"
        bare = RemoteAccess(ca_file=tmp_path / "ca.crt")
        assert "answered with 403" in await outcome(CLUSTER, url=url, access=bare)
        write(token_file, b"expired")
        access = RemoteAccess(ca_file=tmp_path / "ca.crt", token_file=token_file)
        fetch = HttpFetch(access=access, named_url=url)
        assert (await fetch(url, {})).status == 401
        write(token_file, TOKEN.encode())
        assert (await fetch(url, {})).status == 200
        await fetch.aclose()


# -- the guide and the commands ------------------------------------------------------------------

ROOT = Path(__file__).parent.parent


def realm(text: str) -> Callable[[Asked], Answer]:
    """Return the realm of the guide, with backchannel URLs of the request's host."""

    def answer(asked: Asked) -> Answer:
        base = f"https://{asked.headers['host']}/realms/REALM"
        if asked.path.endswith("/openid-configuration"):
            return Answer({"issuer": text, "jwks_uri": f"{base}/protocol/openid-connect/certs"})
        return Answer(KEYS)

    return answer


async def test_the_example_of_the_guide_verifies(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the port and the file are replaced."""
    resolve(monkeypatch, "keycloak")
    issuer = "https://ID.example/realms/REALM"
    file = ca_file(tmp_path, authority)
    with private_server(realm(issuer), authority.context(tmp_path, "keycloak")) as server:
        text = (ROOT / "docs/examples/private_issuer.toml").read_text()
        text = text.replace(":8443", f":{server.port}").replace(
            "/etc/ssl/internal/ca.crt", str(file)
        )
        write(tmp_path / "linqi.toml", text.encode())
        config = load(tmp_path / "linqi.toml", {})
        verifier = build(config, environ={}, clock=lambda: 2000).verifier
        claims = {"iss": issuer, "aud": "YOUR-API", "sub": "alice", "typ": "Bearer"}
        token = make(KEY, claims | {"iat": 1900, "exp": 2100})
        assert (await verified(verifier, token)).subject == "alice"
        (keys,) = verifier.fetched_keys
        await keys.start()
        await keys.close()


def test_check_reports_http_also_on_loopback(tmp_path: Path) -> None:
    """The setting itself is the finding, and not where its URL leads today."""
    file = tmp_path / "linqi.toml"
    entry = '[[issuers]]\nissuer = "{}"\naudience = ["a"]\nalgorithms = ["RS256"]\n'
    for issuer in ("http://127.0.0.1:8080", "http://key_cloak:8080", "https://id.shop.net"):
        file.write_text(entry.format(issuer) + "allow_http = true\n")
        codes = [(one.code, one.severity) for one in check(file, {}).findings]
        assert codes == [("allow-http", "warning")]
        file.write_text(entry.format(issuer))
        assert "allow-http" not in [one.code for one in check(file, {}).findings]


def test_check_reports_authorities_that_others_may_write(
    tmp_path: Path, authority: Authority
) -> None:
    """Who writes the file chooses which server is trusted with the keys."""
    file = tmp_path / "linqi.toml"
    file.write_text(
        '[[issuers]]\nissuer = "https://id.shop.net"\naudience = ["a"]\nalgorithms = ["RS256"]\n'
        'ca_file = "ca.crt"\n'
    )
    for mode, is_found in ((0o644, False), (0o664, True), (0o646, True)):
        ca_file(tmp_path, authority).chmod(mode)
        codes = [(one.code, one.key) for one in check(file, {}).findings]
        assert (("file-writable", "ca_file") in codes) is is_found


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ('jwks_url = "https://a.example"\ndiscovery_url = "https://b.example"', "discovery_url"),
        ('keys_file = "keys.json"\nca_file = "ca.crt"', "ca_file"),
        ('keys_file = "keys.json"\nallow_http = true', "allow_http"),
        ('token_file = "token"\nallow_http = true', ""),
    ],
)
def test_settings_without_effect_are_contradictions(tmp_path: Path, lines: str, place: str) -> None:
    """Each fault names its key."""
    (tmp_path / "keys.json").write_text(json.dumps(KEYS))
    (tmp_path / "linqi.toml").write_text(
        '[[issuers]]\nissuer = "https://id.shop.net"\naudience = ["a"]\nalgorithms = ["RS256"]\n'
        + lines
    )
    with pytest.raises(InvalidConfig) as caught:
        build(load(tmp_path / "linqi.toml", {}), environ={})
    assert [(one.table, one.key) for one in caught.value.details] == [("issuers.0", place)]


def live(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """Run ``linqi check --live``; return the findings by code, and everything printed."""
    main(["check", "--live", "--json", str(folder / "linqi.toml")])
    printed = capsys.readouterr().out
    return {one["code"]: one for one in json.loads(printed)["findings"]}, printed


def test_live_a_cluster_is_seen_from_the_pod(
    tmp_path: Path, cluster: Any, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the CA and the token: keys, the certificate's end, the token's end."""
    with cluster("") as server:
        settings(tmp_path, server, "jwks_url", "/openid/v1/jwks")
        found, printed = live(tmp_path, capsys)
        assert not {"issuer-no-keys", "issuer-token", "issuer-authority"} & found.keys()
        assert "its TLS certificate is valid for" in printed
        assert "a token without a readable end" in printed
        token_file.unlink()
        found, printed = live(tmp_path, capsys)
        assert "Cannot read token_file" in found["issuer-token"]["reason"]
        assert "--token-file" in found["issuer-no-keys"]["remedy"]


def test_live_an_expired_token_is_named_and_not_shown(
    tmp_path: Path, cluster: Any, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A volume that is not replaced any more."""
    expired = pod_token()
    with cluster("") as server:
        settings(tmp_path, server, "jwks_url", "/openid/v1/jwks")
        token_file.write_text(pod_token(exp=99_999_999_999))
        found, printed = live(tmp_path, capsys)
        assert "issuer-token" not in found
        assert "a token that expires in" in printed
        token_file.write_text(expired)
        found, printed = live(tmp_path, capsys)
    assert "expired" in found["issuer-token"]["reason"]
    assert "answered with 401" in found["issuer-no-keys"]["reason"]
    assert expired.split(".")[1] not in printed


def test_live_an_authority_that_ends_soon_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless the one after it is in the file already."""
    old, new = Authority("old", days=5), Authority("new")
    with private_server(lambda _: Answer(KEYS), old.context(tmp_path, "127.0.0.1")) as server:
        (tmp_path / "linqi.toml").write_text(
            '[[issuers]]\nissuer = "shop"\naudience = ["a"]\nalgorithms = ["RS256"]\n'
            f'jwks_url = "https://127.0.0.1:{server.port}/keys"\nca_file = "ca.crt"\n'
        )
        ca_file(tmp_path, old)
        found, _ = live(tmp_path, capsys)
        assert {"issuer-authority", "issuer-certificate"} <= found.keys()
        ca_file(tmp_path, old, new)
        found, _ = live(tmp_path, capsys)
        assert "issuer-authority" not in found


def test_live_a_proxy_before_a_private_name_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remedy is the exception that the client of workers follows."""
    resolve(monkeypatch, "key_cloak")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with private_server(keycloak("shop")) as server:
        (tmp_path / "linqi.toml").write_text(
            '[[issuers]]\nissuer = "shop"\naudience = ["a"]\nalgorithms = ["RS256"]\n'
            f'discovery_url = "http://key_cloak:{server.port}{METADATA}"\nallow_http = true\n'
        )
        found, _ = live(tmp_path, capsys)
        assert {"proxies-private", "issuer-no-keys"} <= found.keys()
        assert "key_cloak to NO_PROXY" in found["proxies-private"]["remedy"]
        monkeypatch.setenv("NO_PROXY", "localhost,key_cloak")
        found, _ = live(tmp_path, capsys)
        assert not {"proxies-private", "issuer-no-keys"} & found.keys()


def test_linqi_jwks_takes_the_same_settings(
    tmp_path: Path, cluster: Any, token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The URL, the CA and the token of the pod; each missing one is in the answer."""
    access = ["--ca-file", str(tmp_path / "ca.crt"), "--token-file", str(token_file)]
    with cluster("") as server:
        url = f"https://{API}:{server.port}/openid/v1/jwks"
        assert main(["jwks", url, *access]) == 0
        assert "usable keys: 1" in capsys.readouterr().out
        assert main(["jwks", url, *access[:2]]) == 1
        assert "--token-file" in capsys.readouterr().out
    with private_server(keycloak("shop")) as server:
        url = f"http://127.0.0.1:{server.port}{METADATA}"
        assert main(["jwks", "--issuer", "shop", "--discovery-url", url]) == 0
    assert main(["jwks", "http://key_cloak:8080/certs"]) == 2
    assert "allow_http" in capsys.readouterr().err
    assert main(["jwks", "shop.json", "--discovery-url", url]) == 2
    assert main(["jwks", "shop.json", *access]) == 2
    assert main(["jwks", "https://id.shop.net", "--discovery-url", url]) == 2
