"""An API for the users of two issuers; replace the names in capitals."""

from linqi import JWTMiddleware, RemoteKeys, Verifier

auth0 = RemoteKeys("https://TENANT.eu.auth0.com/", ["RS256"]).trust("https://API-IDENTIFIER")
keycloak = RemoteKeys("https://ID.example/realms/REALM", ["RS256"]).trust(
    "YOUR-API", required_claims={"typ": "Bearer"}
)


async def api(scope, receive, send):
    """Return the caller; with several issuers a user is the pair of issuer and subject."""
    if scope["type"] == "lifespan":  # this application has nothing to start
        return
    verified = scope["linqi"]
    body = f"{verified.issuer} {verified.subject}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(api, Verifier([auth0, keycloak], leeway=5))
