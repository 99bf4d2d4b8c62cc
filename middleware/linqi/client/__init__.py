"""The client's half of near expiry: judging the token it holds, and renewing it in time."""
