"""登录一次，在一分钟里反复请求，一拿到新 token 就改用它。"""

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
    renewed = "拿到新 token" if successor else ""
    print(f"{second:2} 秒  {response.status}  {response.read().decode()}  {renewed}")
    token = successor or token  # 客户端唯一的规则
    time.sleep(4)
