"""The checks of a cell, one function each; the first line of each says what must hold.

Every check also runs against the application without linqi, where the application answers itself:
what fails there too is the framework's or the server's own fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matrix.contract import CHALLENGE, CLOSE_CODE, FILE, ORIGIN, PARTS, received
from matrix.http2 import Connection
from matrix.raw import Raw
from matrix.site import SECONDS, HandshakeRefused, Site, WrongAnswer, expect, expect_in, new_key

__all__ = ["CHECKS", "Check"]

MEBIBYTE: Final = 1 << 20
SUCCESSOR: Final = "x-refresh-token"
PARALLEL: Final = 20
AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: Stands in the table.
        says: What must hold.
        run: Raises `WrongAnswer` if it does not.
        is_after: Whether it runs when the server has stopped.

    """

    name: str
    says: str
    run: Callable[[Site], Awaitable[None]]
    is_after: bool = False


CHECKS: Final[dict[str, Check]] = {}


def check(
    name: str, *, is_after: bool = False
) -> Callable[[Callable[[Site], Awaitable[None]]], Callable[[Site], Awaitable[None]]]:
    """Register a check; its docstring says what must hold."""

    def register(run: Callable[[Site], Awaitable[None]]) -> Callable[[Site], Awaitable[None]]:
        says = " ".join((run.__doc__ or "").split())
        CHECKS[name] = Check(name=name, says=says, run=run, is_after=is_after)
        return run

    return register


@check("identity")
async def identity(site: Site) -> None:
    """A request with a valid token is served, and the application sees its user."""
    answer = await site.get("/me")
    expect(answer.status_code, 200, "status")
    expect(answer.http_version, "HTTP/2" if site.server.is_http2 else "HTTP/1.1", "version")
    expect(answer.json(), {"user": site.user}, "user")
    expect(SUCCESSOR in answer.headers, False, "a successor")


@check("challenge")
async def challenge(site: Site) -> None:
    """Without a token, with a forged and with an expired one: 401 with the challenge."""
    if not site.is_wrapped:
        answer = await site.http.post("/closed")
        expect((answer.status_code, answer.headers["www-authenticate"]), (401, CHALLENGE), "own")
        return
    for token, wanted in (
        (None, 'Bearer realm="api"'),
        ("a.b.c", 'Bearer realm="api", error="invalid_token"'),
        (site.tokens.ending(-1), 'Bearer realm="api", error="invalid_token"'),
    ):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        answer = await site.http.get("/me", headers=headers)
        expect(answer.status_code, 401, "status")
        given = answer.headers.get("www-authenticate", "")
        expect(given.partition(", error_description")[0], wanted, "challenge")
        expect("error" in answer.json(), True, "a JSON body")


@check("renewal")
async def renewal(site: Site) -> None:
    """20 requests at once with one near-expiry token receive one successor, which is good."""
    token = site.tokens.near_expiry()
    answers = await asyncio.gather(*[site.get("/me", token) for _ in range(PARALLEL)])
    expect({answer.status_code for answer in answers}, {200}, "status")
    if not site.is_wrapped:
        return
    successors = {answer.headers.get(SUCCESSOR) for answer in answers}
    expect(len(successors - {None}), 1, "distinct successors")
    expect(None in successors, False, "a response without successor")
    answer = await site.get("/me", successors.pop())
    expect((answer.status_code, answer.json()), (200, {"user": "alice"}), "the successor")
    expect(SUCCESSOR in answer.headers, False, "a successor of the successor")


@check("chunked")
async def chunked(site: Site) -> None:
    """The first part of a streamed body arrives before the second one is made."""
    await _streamed(site, "/chunks", None)


@check("SSE")
async def sse(site: Site) -> None:
    """The first event arrives before the second one is made; its response renews a token."""
    await _streamed(site, "/sse", site.tokens.near_expiry())


async def _streamed(site: Site, path: str, token: str | None) -> None:
    """Read a stream whose second part is made only after the first one has arrived."""
    key, body = new_key(), b""
    first, second = (part.strip() for part in PARTS)
    async with site.http.stream(
        "GET", path, params={"key": key}, headers=site.caller(token)
    ) as answer:
        expect(answer.status_code, 200, "status")
        if site.is_wrapped:
            expect(SUCCESSOR in answer.headers, token is not None, "a successor")
        parts = answer.aiter_raw()
        while first not in body:
            try:
                async with asyncio.timeout(SECONDS / 2):
                    body += await anext(parts)
            except TimeoutError:
                raise WrongAnswer("the first part is held back") from None
        expect(second in body, False, "the second part")
        await site.http.get("/go", params={"key": key})
        async for part in parts:
            body += part
    expect(second in body, True, "the second part")
    await site.ends(key)


@check("file")
async def file(site: Site) -> None:
    """A file of 256 KiB arrives whole, with a successor."""
    answer = await site.get("/file/data.bin", site.tokens.near_expiry())
    expect(answer.status_code, 200, "status")
    expect(len(answer.content), len(FILE), "the size")
    expect(answer.content == FILE, True, "the content")
    if site.is_wrapped:
        expect(SUCCESSOR in answer.headers, True, "a successor")


@check("upload")
async def upload(site: Site) -> None:
    """An upload of 1 MiB arrives whole, with a declared length and without."""
    body = bytes(range(256)) * (MEBIBYTE // 256)
    if site.server.is_http2:
        await _upload_on_http2(site, body)
        return

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, MEBIBYTE, MEBIBYTE // 16):
            yield body[at : at + MEBIBYTE // 16]

    for content in (body, pieces()):
        answer = await site.http.post("/upload", content=content, headers=site.caller())
        expect((answer.status_code, answer.json()), (200, received(body)), "the upload")


async def _upload_on_http2(site: Site, body: bytes) -> None:
    """Upload `body` with the end in its last frame, so that no response can come before it."""
    length = ("content-length", str(len(body)))
    async with Connection.open(site.port) as connection:
        for fields in ([length], []):
            headers = [*fields, *site.caller().items()]
            stream = await connection.request("POST", "/upload", headers, has_body=True)
            await connection.upload(stream, body, is_last=True)
            await connection.ended(stream)
            expect(stream.status, 200, "status")
            expect(json.loads(stream.body), received(body), "the upload")


@check("refused upload")
async def refused_upload(site: Site) -> None:
    """An upload of 1 MiB without a token gets its 401; the connection ends or goes on in order."""
    path = "/upload" if site.is_wrapped else "/closed"
    if site.server.is_http2:
        await _refused_on_http2(site, path)
        return
    body = b"GET /state HTTP/1.1\r\nhost: x\r\n\r\n" * (MEBIBYTE // 32)
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
    length = b"content-length: %d\r\n\r\n" % len(body)
    await _refused_on_http1(site, path, [length, *pieces])
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    await _refused_on_http1(
        site, path, [b"transfer-encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n"]
    )


async def _refused_on_http1(site: Site, path: str, rest: Sequence[bytes]) -> None:
    """Refuse an upload; what it contains is never taken for the next request."""
    async with Raw.open(site.port) as raw:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\n".encode()
        sending = asyncio.ensure_future(raw.send([head, *rest]))
        status, headers, _ = await raw.response()
        expect((status, "www-authenticate" in headers), (401, True), "status, challenge")
        await sending
        # Either the server has closed, or it answers the next request and nothing else.
        await raw.send([b"GET /state HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"])
        with contextlib.suppress(EOFError):
            status, _, _ = await raw.response()
            expect((status, await raw.rest()), (200, b""), "the next response, the rest")


async def _refused_on_http2(site: Site, path: str) -> None:
    """Refuse an upload beside another request of its connection."""
    key = new_key()
    async with Connection.open(site.port) as connection:
        headers = list(site.caller().items())
        other = await connection.request("GET", f"/chunks?key={key}", headers)
        await connection.until(lambda: PARTS[0] in other.body)
        length = [("content-length", str(MEBIBYTE))]
        upload = await connection.request("POST", path, length, has_body=True)
        await connection.upload(upload, bytes(32_768), is_last=False)
        await connection.ended(upload)
        expect(upload.status, 401, "status")
        await connection.upload(upload, bytes(MEBIBYTE - 32_768), is_last=True)
        await site.http.get("/go", params={"key": key})
        await connection.ended(other)
        expect((other.body, other.is_ended), (b"".join(PARTS), True), "the other request")


@check("HEAD")
async def head(site: Site) -> None:
    """HEAD has the status of GET, no body and no successor; without a token it is refused."""
    token = site.tokens.near_expiry()
    answer = await site.http.head("/me", headers=site.caller(token))
    expect((answer.status_code, answer.content), (200, b""), "status and body")
    expect(SUCCESSOR in answer.headers, False, "a successor")
    if site.is_wrapped:
        answer = await site.http.head("/me")
        expect((answer.status_code, answer.content), (401, b""), "status and body")
    if site.server.is_http2:
        return
    async with Raw.open(site.port) as raw:
        for method in ("HEAD", "GET"):
            await raw.send([_get("/me", site.caller(), method)])
            status, _, body = await raw.response(has_body=method == "GET")
            expect(status, 200, f"status of {method} on the same connection")
        expect(b"user" in body, True, "the user")


@check("preflight")
async def preflight(site: Site) -> None:
    """A CORS preflight passes without a token, and the application answers it."""
    headers = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    answer = await site.http.options("/upload", headers=headers)
    expect_in(answer.status_code, (200, 204), "status")
    expect(answer.headers.get("access-control-allow-origin"), ORIGIN, "the allowed origin")


@check("own 500")
async def own_500(site: Site) -> None:
    """An exception of the application stays a 500; the successor comes with the next response."""
    token = site.tokens.near_expiry()
    async with site.new_client() as client:  # some servers close the connection after a failure
        failed = await client.get("/fail", headers=site.caller(token))
    expect(failed.status_code, 500, "status")
    answer = await site.get("/me", token)
    expect(answer.status_code, 200, "status after it")
    expect(SUCCESSOR in failed.headers, False, "a successor with the 500")
    expect(SUCCESSOR in answer.headers, site.is_wrapped, "a successor after it")


@check("50 at once")
async def at_once(site: Site) -> None:
    """50 requests of 50 users at once: the application sees each user in its own request."""
    users = [f"user-{number}" for number in range(AT_ONCE)]
    tokens = [site.tokens.fresh(user) for user in users]
    answers = await asyncio.gather(*[site.get("/me", token) for token in tokens])
    expect({answer.status_code for answer in answers}, {200}, "status")
    seen = [answer.json()["user"] for answer in answers]
    expect(seen, users if site.is_wrapped else [None] * AT_ONCE, "users")


@check("hang-up")
async def hang_up(site: Site) -> None:
    """The application stops a stream whose client has hung up."""
    key = new_key()
    headers = site.caller()
    try:
        if site.server.is_http2:
            async with Connection.open(site.port) as connection:
                path = f"/ticks?key={key}"
                stream = await connection.request("GET", path, list(headers.items()))
                await connection.until(lambda: b"tick" in stream.body)
                await connection.cut(stream)
                await site.ends(key)
        else:
            async with Raw.open(site.port) as raw:
                await raw.send([_get(f"/ticks?key={key}", headers)])
                await raw.until(b"tick")
            await site.ends(key)
    finally:
        await site.http.get("/go", params={"key": key})


def _get(path: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\n{fields}\r\n".encode()


@check("WebSocket")
async def socket(site: Site) -> None:
    """A WebSocket with a token is accepted; the application sees its user, texts pass."""
    async with site.socket("/ws", site.tokens.fresh()) as opened:
        expect(await opened.next(), str(site.user), "user")
        for text in ("one", "two"):
            await opened.send(text)
            expect(await opened.next(), text, "the text")


@check("refused WebSocket")
async def refused_socket(site: Site) -> None:
    """A WebSocket without a token is never accepted: 401, or 403 where the server has only that."""
    try:
        async with site.socket("/ws" if site.is_wrapped else "/ws-closed", None) as opened:
            raise WrongAnswer(f"it was accepted, and says {await opened.next()!r}")
    except HandshakeRefused as refused:
        expect_in(refused.status, (401, 403), "status")
        if site.is_wrapped:
            given = refused.headers.get("www-authenticate")
            wanted = 'Bearer realm="api"' if refused.status == 401 else None
            expect(given, wanted, "challenge")


@check("WebSocket at exp")
async def socket_at_exp(site: Site) -> None:
    """An open WebSocket is closed with 4401 when its token expires."""
    for seconds in (2, 6, 18):  # a busy machine may take longer than that for the handshake
        with contextlib.suppress(HandshakeRefused):
            async with site.socket("/ws", site.tokens.ending(seconds)) as opened:
                expect(await opened.next(), str(site.user), "user")
                if not site.is_wrapped:
                    await opened.send("close")
                expect(await opened.next(), CLOSE_CODE, "code")
                return
    raise WrongAnswer("every handshake was refused")


@check("root_path")
async def root_path(site: Site) -> None:
    """Mounted below a path, the application is served there, with its public paths."""
    answer = await site.get("/below/me")
    expect(answer.status_code, 200, "status")
    expect(answer.json(), {"user": site.user}, "user")
    expect((await site.http.get("/below/state")).status_code, 200, "status of a public path")
    if site.is_wrapped:
        expect((await site.http.get("/below/me")).status_code, 401, "status without a token")


@check("lifespan", is_after=True)
async def lifespan(site: Site) -> None:
    """The application was started before the first request, and shut down."""
    stages = site.lifespan.read_text().split() if site.lifespan.exists() else []
    expect(stages, ["startup", "shutdown"], "stages")
