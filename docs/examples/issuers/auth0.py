"""Auth0: access tokens of an API."""

from linqi import RemoteKeys

keys = RemoteKeys("https://TENANT.eu.auth0.com/", ["RS256"])
issuers = [keys.trust("https://API-IDENTIFIER", scope_claims=["scope", "permissions"])]
