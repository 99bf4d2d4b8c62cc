"""Sign in once, call the shop for a minute, and use each successor from then on."""

import json
import time
from http.client import HTTPConnection

shop = HTTPConnection("127.0.0.1", 8000)
shop.request("POST", "/login")
token = json.load(shop.getresponse())["access_token"]

for second in range(0, 61, 4):
    shop.request("GET", "/me", headers={"Authorization": f"Bearer {token}"})
    response = shop.getresponse()
    successor = response.headers["X-Refresh-Token"]
    renewed = "X-Refresh-Token: the next token" if successor else ""
    print(f"{second:2} s  {response.status}  {response.read().decode()}  {renewed}")
    token = successor or token  # the one rule of a client
    time.sleep(4)
