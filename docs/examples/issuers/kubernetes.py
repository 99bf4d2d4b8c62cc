"""Kubernetes: tokens of service accounts."""

from linqi import RemoteAccess, RemoteKeys

folder = "/var/run/secrets/kubernetes.io/serviceaccount"
keys = RemoteKeys(
    "https://kubernetes.default.svc.cluster.local",
    ["RS256"],
    url="https://kubernetes.default.svc.cluster.local/openid/v1/jwks",
    access=RemoteAccess(ca_file=f"{folder}/ca.crt", token_file=f"{folder}/token"),
)
issuers = [keys.trust("orders", required_claims={"sub": ["system:serviceaccount:shop:cart"]})]
