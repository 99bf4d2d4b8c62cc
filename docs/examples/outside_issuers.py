"""Working settings for well-known issuers; replace the names in capitals."""

from linqi import ANY_AUDIENCE, JWTMiddleware, RemoteKeys, Verifier

# Auth0: the issuer ends with a slash; the audience is the API's identifier.
auth0 = RemoteKeys("https://TENANT.eu.auth0.com/", ["RS256"]).trust("https://API-IDENTIFIER")

# Keycloak: a realm is an issuer. By default aud is "account": add an audience mapper for your API.
keycloak = RemoteKeys("https://ID.example/realms/REALM", ["RS256"]).trust(
    "YOUR-API", required_claims={"typ": "Bearer"}
)

# Amazon Cognito: access tokens have no aud; client_id and token_use take its place.
cognito = RemoteKeys("https://cognito-idp.REGION.amazonaws.com/POOL", ["RS256"]).trust(
    ANY_AUDIENCE, required_claims={"client_id": ["APP-CLIENT-ID"], "token_use": "access"}
)

# Microsoft Entra ID, one tenant, tokens of version 2 (requestedAccessTokenVersion in the manifest).
entra = RemoteKeys("https://login.microsoftonline.com/TENANT-ID/v2.0", ["RS256"]).trust(
    "API-CLIENT-ID", required_claims={"tid": "TENANT-ID"}
)

# Google: ID tokens, whose audience is your OAuth client; its access tokens are not JWTs.
google = RemoteKeys("https://accounts.google.com", ["RS256"]).trust(
    "CLIENT-ID.apps.googleusercontent.com"
)

# Supabase, with asymmetric signing keys enabled; the role excludes "anon".
supabase = RemoteKeys("https://PROJECT.supabase.co/auth/v1", ["ES256"]).trust(
    "authenticated", required_claims={"role": "authenticated"}
)

# Zitadel: set the application's access tokens to type JWT; the audience is the project's id.
zitadel = RemoteKeys("https://INSTANCE.zitadel.cloud", ["RS256"]).trust("PROJECT-ID")


async def api(scope, receive, send):
    """Return the caller; with several issuers a user is the pair of issuer and subject."""
    if scope["type"] == "lifespan":
        return
    verified = scope["linqi"]
    body = f"{verified.issuer} {verified.subject}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(api, Verifier([auth0, keycloak, google], leeway=5))
