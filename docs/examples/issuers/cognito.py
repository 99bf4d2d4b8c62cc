"""Amazon Cognito: access tokens of a user pool."""

from linqi import ANY_AUDIENCE, RemoteKeys

keys = RemoteKeys("https://cognito-idp.REGION.amazonaws.com/POOL-ID", ["RS256"])
issuers = [
    keys.trust(
        ANY_AUDIENCE,
        required_claims={"client_id": ["APP-CLIENT-ID"], "token_use": "access"},
    )
]
