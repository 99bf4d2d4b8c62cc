"""Tokens of Google's IAP, Cloudflare Access and other proxies; replace the names in capitals."""

from linqi import JWTMiddleware, NamedHeaderTransport, RemoteKeys, Verifier

PAGES = ["https://APP.example"]  # the origins of your own pages: the proxy knows users by a cookie

# Google's Identity-Aware Proxy: the audience names your backend service.
iap = RemoteKeys(
    "https://cloud.google.com/iap",
    ["ES256"],
    url="https://www.gstatic.com/iap/verify/public_key-jwk",
).trust("/projects/PROJECT-NUMBER/global/backendServices/SERVICE-ID")

# Cloudflare Access: the audience is the tag (AUD) of the application.
cloudflare = RemoteKeys(
    "https://TEAM.cloudflareaccess.com",
    ["RS256"],
    url="https://TEAM.cloudflareaccess.com/cdn-cgi/access/certs",
).trust("AUD-TAG")


async def api(scope, receive, send):
    """Answer with the address that the proxy vouches for."""
    if scope["type"] == "lifespan":  # this application has nothing to start
        return
    body = scope["linqi"].claims["email"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


behind_iap = JWTMiddleware(
    api,
    Verifier(iap, leeway=30),
    transports=[NamedHeaderTransport("X-Goog-IAP-JWT-Assertion", origins=PAGES)],
)
behind_cloudflare = JWTMiddleware(
    api,
    Verifier(cloudflare),
    transports=[NamedHeaderTransport("Cf-Access-Jwt-Assertion", origins=PAGES)],
)
