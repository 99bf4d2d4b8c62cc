"""Okta: access tokens of a custom authorization server."""

from linqi import RemoteKeys

keys = RemoteKeys("https://ORG.okta.com/oauth2/default", ["RS256"])
issuers = [
    keys.trust("api://default", required_claims={"cid": ["CLIENT-ID"]}, scope_claims=["scp"])
]
