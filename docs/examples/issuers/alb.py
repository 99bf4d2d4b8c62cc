"""AWS Application Load Balancer: what it knows of the user who signed in."""

from linqi import AlbKeys, NamedHeaderTransport

keys = AlbKeys(
    "https://cognito-idp.eu-west-1.amazonaws.com/POOL-ID",
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188",
    url="https://public-keys.auth.elb.eu-west-1.amazonaws.com",
)
issuers = [keys.trust("APP-CLIENT-ID")]
transport = NamedHeaderTransport("x-amzn-oidc-data", origins=["https://app.example"])
