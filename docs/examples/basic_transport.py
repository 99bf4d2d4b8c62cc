"""A transport of one's own: the token as a password, for pip, git and curl -u."""

import base64
import binascii

from linqi import HeaderTransport, JWTMiddleware, KeySet, Signer, Verifier
from linqi.errors import InvalidRequest

keys = KeySet.load_or_create("keys.json", "ES256")
signer = Signer(keys, issuer="https://shop.example", audience="shop")


class BasicTransport:
    """Tokens as the password of the user "token" (RFC 7617); no successors."""

    subprotocol = None  # the WebSocket subprotocol that announces a token
    successor_header = None  # the response header that carries a successor, in lower case

    def read(self, scope, headers):
        """Return the token as bytes, or None if the request carries none here."""
        found = [value for name, value in headers if name == b"authorization"]
        if len(found) > 1:
            raise InvalidRequest("more than one Authorization header")
        if not found or found[0][:6].lower() != b"basic ":
            return None  # another transport may know it
        try:
            user, colon, token = base64.b64decode(found[0][6:], validate=True).partition(b":")
        except binascii.Error:
            raise InvalidRequest("the credentials are not base64") from None
        if user != b"token" or not colon:
            raise InvalidRequest('the user of Basic credentials is not "token"')
        return token  # not verified here

    def deliver(self, issued, headers, now):
        """Return whether `headers` now carry the successor `issued`."""
        return False  # these clients read no header of a response


async def api(scope, receive, send):
    """Answer with the name of the caller."""
    if scope["type"] == "lifespan":  # this application has nothing to start
        return
    body = scope["linqi"].subject.encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(
    api, Verifier.trusting(signer), transports=[HeaderTransport(), BasicTransport()]
)
