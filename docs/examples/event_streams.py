"""Event streams behind linqi: reconnect with Last-Event-ID, or continue under a successor."""

import asyncio
from weakref import WeakSet

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from linqi import JWTMiddleware, KeySet, Signer, SlidingRenewal, Verifier

keys = KeySet.load_or_create("keys.json", "ES256")  # made once, whichever worker comes first
signer = Signer(keys, issuer="https://shop.example", audience="shop")
renewal = SlidingRenewal(signer)
streams = WeakSet()


async def login(request):
    """Start a session; check a password here."""
    return JSONResponse({"access_token": renewal.start("alice").token})


async def events(request):
    """Send numbered events, from the one after Last-Event-ID."""
    last = int(request.headers.get("last-event-id", 0))

    async def body():
        streams.add(request.scope["linqi.stream"])  # the response has started now
        number = last
        while True:
            number += 1
            yield f"id: {number}\ndata: event {number}\n\n"
            await asyncio.sleep(1)

    return StreamingResponse(body(), media_type="text/event-stream")


async def continue_streams(request):
    """Continue the streams of the caller's session under the token of this request."""
    token = request.headers["authorization"].partition(" ")[2]
    for stream in list(streams):
        if stream.verified.session_id == request.user.session_id:
            stream.adopt(token)  # TokenError if it is not a successor
    return Response(status_code=204)


api = Starlette(
    routes=[
        Route("/login", login, methods=["POST"]),
        Route("/events", events),
        Route("/events/token", continue_streams, methods=["POST"]),
    ]
)
app = JWTMiddleware(api, Verifier.trusting(signer), renewal=renewal, public=["/login"])
