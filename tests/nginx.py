"""nginx as a shared cache in front of an application, on the loopback."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from free_ports import free_port

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=shared:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {application};
      proxy_cache shared;
      proxy_cache_key $uri;
      add_header X-Cache $upstream_cache_status;
      {more}
    }}
    location /hidden/ {{ internal; alias {folder}/hidden/; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, application: str, more: str = "") -> Iterator[str]:
    """Run nginx with ``proxy_cache`` before the URL `application`; give its own URL.

    `more`: directives for the location. Files of ``folder/hidden`` are served by the application's
    ``X-Accel-Redirect``.
    """
    (folder / "hidden").mkdir(parents=True)
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(
        _CONFIGURATION.format(folder=folder, port=port, application=application, more=more)
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    server = subprocess.Popen(
        [program, "-e", f"{folder}/error.log", "-c", str(file)], stdin=subprocess.DEVNULL
    )
    try:
        _wait(server, port, folder)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


def _wait(server: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    for _ in range(1200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert server.poll() is None, (folder / "error.log").read_text()
        time.sleep(0.025)
    raise AssertionError((folder / "error.log").read_text())
