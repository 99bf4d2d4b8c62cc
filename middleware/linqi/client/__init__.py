"""The client side of near expiry: assess the token at hand, and renew it in time."""
