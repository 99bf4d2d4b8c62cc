"""nginx and two workers on free loopback ports, for run.py and the tests."""

import contextlib
import datetime
import ipaddress
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from linqi.browser import FOLDER

HERE = Path(__file__).parent
PATIENCE = 60  # seconds, as other programs may keep the machine busy


class Worker:
    """One process of uvicorn behind nginx."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.port = free_port()
        self._folder, self._environ = folder, environ

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        # uvicorn takes X-Forwarded-For from 127.0.0.1 only, where nginx is.
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(self.port)]
        environ = os.environ | self._environ
        self._process = subprocess.Popen(
            [*command, "--log-level", "warning"], cwd=self._folder, env=environ
        )
        wait_for(self.port, self._process)

    def stop(self) -> None:
        """End it; what it has begun to answer it still answers."""
        stop(self._process)


class Site:
    """The running app: `url` of nginx, its access log, the workers."""

    def __init__(self, folder: Path, port: int, workers: list[Worker]) -> None:
        self.url = f"https://localhost:{port}"
        self.workers = workers
        self.tls = ssl.create_default_context(cafile=folder / "certificate.pem")
        self._log = folder / "logs" / "access.log"

    def count(self, request: str, status: int = 200) -> int:
        """Return how often nginx has answered a request, such as ``POST /auth/refresh``.

        It logs a request after the answer, so its log is read when a later request is in it.
        """
        mark = '"HEAD /index.html"'
        before = self._log.read_text().count(mark)
        httpx2.head(f"{self.url}/index.html", verify=self.tls, timeout=PATIENCE)
        until = time.monotonic() + PATIENCE
        while (text := self._log.read_text()).count(mark) == before:
            if time.monotonic() > until:
                raise SystemExit("nginx does not write its log")
            time.sleep(0.01)
        return text.count(f'"{request}" {status} ')


@contextlib.contextmanager
def serving(**environ: str) -> Iterator[Site]:
    """Serve a copy of this folder; `environ` overrides settings of linqi.toml."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        print("nginx is not installed (Debian: apt install nginx-light)", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)  # root starts the workers of nginx as another user
        folder = Path(made) / "app"
        shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(FOLDER, folder / "www" / "js", ignore=shutil.ignore_patterns("*.py*"))
        for name in ("logs", "tmp"):
            (folder / name).mkdir()
        for arguments in ([], ["--alg", "HS256", "--out", "refresh.json"]):
            command = [sys.executable, "-m", "linqi", "keygen", *arguments]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        certify(folder)
        port = free_port()
        environ |= {"LINQI_COOKIES__ORIGINS": f"https://localhost:{port}"}
        workers = [Worker(folder, environ) for _ in range(2)]
        ports = {"8443": port, "8001": workers[0].port, "8002": workers[1].port}
        settings = (folder / "nginx.conf").read_text()
        settings = settings.replace("listen 8443", "listen 127.0.0.1:8443")
        settings = re.sub(r"\b(8443|8001|8002)\b", lambda found: str(ports[found[0]]), settings)
        (folder / "nginx.conf").write_text(f"daemon off;\n{settings}")
        command = [program, "-p", str(folder), "-e", "logs/error.log", "-c", "nginx.conf"]
        with contextlib.ExitStack() as running:
            for worker in workers:
                running.callback(worker.stop)
                worker.start()
            nginx = subprocess.Popen(command)
            running.callback(stop, nginx)
            wait_for(port, nginx)
            yield Site(folder, port, workers)


def free_port() -> int:
    """Return a port that nothing listens on, below those that systems give to connections.

    Otherwise another program could be given the port of a worker that restarts.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process takes connections."""
    for _ in range(2400):
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with code {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"{process.args} does not listen on port {port}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def certify(folder: Path) -> None:
    """Write a certificate for localhost; in production it comes from your authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "certificate.key").touch(0o600)
    (folder / "certificate.key").write_bytes(private)
