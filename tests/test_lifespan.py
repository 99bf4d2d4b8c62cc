"""Services run from the start-up to the shutdown of the wrapped application."""

import asyncio
from typing import Any

from linqi import JWTMiddleware, Key, LoggingHook, Verifier
from outside import Issuer, verifier_of
from tokens import verifier_of as verifier_of_key

KEY = Key.generate("ES256")


class Recorder:
    """A service that writes down what happened, and fails where it is told to."""

    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name, self.log, self.error = name, log, error

    async def start(self) -> None:
        """Begin."""
        self.log.append(f"{self.name} starts")
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """End."""
        self.log.append(f"{self.name} closes")


def lifespan_app(log: list[str]) -> Any:
    """Give an application that answers start-up and shutdown."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        for name in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{name}"
            log.append(f"app {name}")
            await send({"type": f"lifespan.{name}.complete"})

    return app


async def run(app: Any, verifier: Verifier, *services: Any) -> list[dict[str, Any]]:
    """Drive one lifespan; give what the server was told."""
    said: list[dict[str, Any]] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        said.append(message)

    guarded = JWTMiddleware(app, verifier, services=services, hooks=[])
    await guarded({"type": "lifespan"}, receive, send)
    return said


async def test_services_start_before_the_application_and_close_after_it() -> None:
    """The first request finds them there, the last one too."""
    log: list[str] = []
    said = await run(lifespan_app(log), verifier_of_key(KEY), Recorder("a", log))
    assert log == ["a starts", "app startup", "app shutdown", "a closes"]
    assert [message["type"] for message in said] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_a_service_that_cannot_start_fails_the_start_up() -> None:
    """The server is told why and never hears the application; the others are closed."""
    log: list[str] = []
    broken = Recorder("b", log, OSError("no disk"))
    said = await run(lifespan_app(log), verifier_of_key(KEY), Recorder("a", log), broken)
    assert said == [{"type": "lifespan.startup.failed", "message": "OSError: no disk"}]
    assert "app startup" not in log
    assert "a closes" in log


async def test_remote_keys_are_fetched_before_the_first_request() -> None:
    """The middleware finds them through its verifier: nothing else is to be wired."""
    async with Issuer() as issuer:
        keys = issuer.keys()
        log: list[str] = []
        await run(lifespan_app(log), verifier_of(keys))
        assert issuer.counts() == (1, 1)
        assert keys.state().is_ready


async def test_required_keys_that_are_not_there_fail_the_start_up() -> None:
    """The message names the issuer and what it answered."""
    async with Issuer() as issuer:
        issuer.fault("error")
        (said,) = await run(lifespan_app([]), verifier_of(issuer.keys(required=True)))
        assert said["type"] == "lifespan.startup.failed"
        assert issuer.url in said["message"]
        assert "500" in said["message"]


async def test_without_lifespan_the_first_request_fetches() -> None:
    """Servers that speak no lifespan, and test clients, work all the same."""
    from asgi import App, call, http

    async with Issuer() as issuer:
        app = JWTMiddleware(App(), verifier_of(issuer.keys()), hooks=[LoggingHook()])
        token = issuer.token()
        answers = await asyncio.gather(*[call(app, http(token=token)) for _ in range(20)])
        assert {answer.status for answer in answers} == {200}
        assert issuer.counts() == (1, 1)


async def test_a_dead_issuer_at_a_cold_start_is_503_with_retry_after() -> None:
    """J2, I5: no 500; the client learns when to come again."""
    from asgi import App, call, http

    async with Issuer() as issuer:
        token = issuer.token()
        issuer.fault("error")
        app = JWTMiddleware(App(), verifier_of(issuer.keys()), hooks=[])
        answer = await call(app, http(token=token))
        assert answer.status == 503
        assert 1 <= int(answer.header("retry-after") or 0) <= 33
