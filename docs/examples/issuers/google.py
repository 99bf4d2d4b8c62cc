"""Google: ID tokens."""

from linqi import RemoteKeys

keys = RemoteKeys("https://accounts.google.com", ["RS256"])
issuers = [
    keys.trust("CLIENT-ID.apps.googleusercontent.com", required_claims={"email_verified": True})
]
