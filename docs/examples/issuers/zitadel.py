"""Zitadel: access tokens of type JWT."""

from linqi import RemoteKeys

keys = RemoteKeys("https://INSTANCE.zitadel.cloud", ["RS256"])
issuers = [keys.trust("PROJECT-ID", required_claims=["jti", "client_id"])]
