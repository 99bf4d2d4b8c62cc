"""The comparison with other libraries: how it reads CPU, what it pins, how it ranks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import jwt
import pytest

ROOT = Path(__file__).parent.parent
BENCH = ROOT / "bench"
sys.path.insert(0, str(BENCH))

from linqi_bench.timing import TimedBlocks  # noqa: E402
from rivals.catalogue import ALGORITHMS, RIVALS  # noqa: E402
from rivals.environments import EnvironmentMissing, installed_environment  # noqa: E402
from rivals.guard_cost import GuardCost, MeasurementPlan, TokenFiles  # noqa: E402
from rivals.load import load_generator, send_all  # noqa: E402
from rivals.material import CACHED  # noqa: E402
from rivals.probe_run import ProbeOutcomes, reply_to  # noqa: E402
from rivals.probes import OVERSIZED, PROBES, MintPair  # noqa: E402
from rivals.processes import ProcessDied, cpu_nanoseconds, running_servers  # noqa: E402
from rivals.report import Report, as_markdown, ranked  # noqa: E402
from rivals.tokens import TOKEN_BYTES, Mint, typical_claims  # noqa: E402

HERE = BENCH / "rivals"
_INSTALLED = {name for names in packages_distributions().values() for name in names}
PINNED = sorted((HERE / "requirements").glob("*.txt"))
_BUSY = """
import subprocess, sys, time
if len(sys.argv) > 1:
    subprocess.Popen([sys.executable, "-c", sys.argv[1]])
else:
    end = time.process_time() + 0.2
    while time.process_time() < end: pass
print(1, flush=True)
time.sleep(30)
"""
_ANSWERS_FOUR = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    data = b""
    for status in (200, 401, 200, 200):
        while b"\\r\\n\\r\\n" not in data: data += connection.recv(4096)
        data = data.partition(b"\\r\\n\\r\\n")[2]
        connection.sendall(b"HTTP/1.1 %d OK\\r\\nContent-" % status)
        connection.sendall(b"Length: 2\\r\\n\\r\\n{}")
    connection.close()
"""


def _sample(median: float) -> TimedBlocks:
    return TimedBlocks(
        median=median, low=median - 1, high=median + 1, spread=0.0, rounds=3, floor=median - 1
    )


def _cost(app: str, cold: float | None, *, note: str = "") -> GuardCost:
    sample = None if cold is None else _sample(cold)
    return GuardCost(
        app=app, alg="HS256", cold=sample, claims=sample, crowd=sample, hot=sample, note=note
    )


def _report(*costs: GuardCost, observed: tuple[ProbeOutcomes, ...] = ()) -> Report:
    machine = {
        **{"processor": "P", "cpus": 2, "load_1_minute": 0.1, "system": "S", "hints": []},
        "taken_at": "2026-01-01T00:00:00Z",
    }
    return Report(
        machine=machine,
        command="python -m rivals",
        versions={cost.app: {"python": "3", "PyJWT": "2", "linqi": "1"} for cost in costs},
        costs=costs,
        observed=observed,
        missing={},
    )


def test_cpu_of_another_process_is_read_to_the_nanosecond(tmp_path: Path) -> None:
    """A process that burnt 200 ms shows them, and shows no more while it sleeps."""
    with running_servers([[sys.executable, "-c", _BUSY]], tmp_path / "log") as (server,):
        first = server.cpu_nanoseconds()
        assert first > 200_000_000
        assert first % 10_000_000, "not counted in hundredths of a second"
        time.sleep(0.05)
        assert server.cpu_nanoseconds() - first < 20_000_000


def test_cpu_of_children_is_included(tmp_path: Path) -> None:
    """A server whose work is done by a worker it started is charged for it."""
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    wait = "\nprint(flush=True); time.sleep(30)"
    command = [sys.executable, "-c", _BUSY, burn + wait]
    with running_servers([command], tmp_path / "log") as (server,):
        end = time.monotonic() + 20
        while server.cpu_nanoseconds() < 300_000_000 and time.monotonic() < end:
            time.sleep(0.05)
        assert server.cpu_nanoseconds() > 300_000_000


def test_own_cpu_is_what_the_process_itself_reads() -> None:
    """The clock of our own pid is ``process_time``."""
    before = time.process_time_ns()
    assert before <= cpu_nanoseconds(os.getpid())


def test_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The last line of what it printed is the error, not a wait for a port."""
    broken = [sys.executable, "-c", "raise SystemExit('no such key')"]
    servers = running_servers([broken], tmp_path / "log")
    with pytest.raises(ProcessDied, match="no such key"), servers:
        pass


def test_pinned_server_stays_on_its_core(tmp_path: Path) -> None:
    """The measured server and the generator never share a core where there are two."""
    with running_servers([[sys.executable, "-c", _BUSY]], tmp_path / "log", core=0) as (server,):
        assert os.sched_getaffinity(server.pid) == {min(os.sched_getaffinity(0))}


def test_generator_counts_every_answer(tmp_path: Path) -> None:
    """Requests go out one after the other on a connection; a refusal is not taken for a 200."""
    with running_servers([[sys.executable, "-c", _ANSWERS_FOUR]], tmp_path / "log") as (server,):
        request = b"GET / HTTP/1.1\r\n\r\n"
        assert send_all(server.port, [request] * 4, connections=1) == {"200": 3, "401": 1}


def test_generator_gives_up_on_a_silent_server(tmp_path: Path) -> None:
    """A run ends although a server never answers."""
    silent = (
        "import socket, time\nlistener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\ntime.sleep(30)"
    )
    with (
        running_servers([[sys.executable, "-c", silent]], tmp_path / "log") as (server,),
        pytest.raises(TimeoutError),
    ):
        send_all(server.port, [b"GET / HTTP/1.1\r\n\r\n"], seconds=0.2)


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.stem)
def test_every_requirement_of_a_rival_is_one_exact_version(path: Path) -> None:
    """A line is ``name==version`` and nothing else: no index, address, path or hash."""
    for line in path.read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), line


def test_every_npm_package_is_one_exact_version() -> None:
    """No ranges and no addresses, and no lock file that would hold addresses."""
    manifest = json.loads((HERE / "node" / "package.json").read_text())
    for name, version in manifest["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name} {version}"
    assert not list((HERE / "node").glob("*lock*"))


def test_every_file_of_a_rival_is_listed() -> None:
    """No application and no requirements file lies there that no run uses, nor the other way."""
    shared = {"__init__", "_asgi", "_fastapi", "_one", "serve", "decode", "judge"}
    python = {rival.app for rival in RIVALS if rival.runtime == "python"}
    assert {path.stem for path in (HERE / "apps").glob("*.py")} - shared == python
    shared = {"serve", "decode", "judge", "material", "http_app"}
    node = {rival.app for rival in RIVALS if rival.runtime == "node"}
    assert {path.stem for path in (HERE / "node").glob("*.mjs")} - shared == node
    wanted = {rival.requirements for rival in RIVALS if rival.requirements}
    assert {path.stem for path in PINNED} == wanted


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.app)
def test_what_a_rival_is_named_by_is_pinned(rival) -> None:
    """The versions that the table shows are those of its own environment."""
    if rival.runtime == "python" and rival.requirements:
        text = (HERE / "requirements" / f"{rival.requirements}.txt").read_text().lower()
        assert all(f"{name.lower()}==" in text for name in rival.packages)
    assert any(ours.app == rival.beside and ours.is_ours for ours in RIVALS)
    assert set(rival.unsupported) <= set(ALGORITHMS)


def test_all_rivals_share_the_framework_and_the_server() -> None:
    """Like is compared with like: one version of each in every environment, ours included."""
    files = [*PINNED, ROOT / "requirements" / "dev.txt"]
    for name in ("uvicorn", "uvloop", "httptools", "fastapi", "starlette", "PyJWT"):
        lines = {
            line for path in files for line in path.read_text().splitlines() if f"{name}==" in line
        }
        assert len({line for line in lines if line.startswith(f"{name}==")}) == 1, name


def test_smallest_figure_comes_first_and_what_is_missing_last() -> None:
    """We stand first only where we are first."""
    costs = [_cost("authx", None, note="why"), _cost("linqi_asgi", 9.0), _cost("oxyjwt", 8.0)]
    assert [cost.app for cost in ranked(costs, "HS256")] == ["oxyjwt", "linqi_asgi", "authx"]
    assert ranked(costs, "ES256") == []


def test_ratio_is_to_ours_around_the_same_framework() -> None:
    """A FastAPI dependency is compared with linqi around FastAPI, not around bare ASGI."""
    report = _report(_cost("linqi_asgi", 4.0), _cost("linqi_fastapi", 10.0), _cost("pyjwt", 50.0))
    (row,) = [line for line in as_markdown(report).splitlines() if "| PyJWT (FastAPI" in line]
    assert row.count("| 5.0 |") == 4, "cold, claims, crowd and hot"
    (ours,) = [line for line in as_markdown(report).splitlines() if "| linqi (bare ASGI)" in line]
    assert "| 4.0 ±1.0 |  |" in ours


def test_ratio_is_blank_where_a_figure_is_not_told_from_nothing() -> None:
    """A guard whose cost drowns in noise is not called many times quicker or slower than ours."""
    report = _report(_cost("linqi_fastapi", 10.0), _cost("pyjwt", 0.5))
    (row,) = [line for line in as_markdown(report).splitlines() if "| PyJWT (FastAPI" in line]
    assert row.count("| 0.5 ±1.0 |  ") == 4


def test_unsupported_algorithm_is_blank_with_its_reason() -> None:
    """No figure is made up for what a library cannot do."""
    report = _report(_cost("python_jose", None, note="lists no EdDSA"))
    (row,) = [line for line in as_markdown(report).splitlines() if "python-jose" in line][:1]
    assert row.endswith(") |" + "  |" * 12 + " lists no EdDSA |")


def test_what_most_did_is_counted_and_the_rest_named() -> None:
    """The exceptions are what a reader looks for."""
    apps = [rival.app for rival in RIVALS][:12]
    observed = tuple(
        ProbeOutcomes(
            app=app,
            answers={PROBES[0].name: "refused" if app == "pyjwt" else "accepted"},
            oversized=dict.fromkeys(OVERSIZED, ("refused", 1.0)),
            renewals={},
        )
        for app in apps
    )
    told = as_markdown(_report(observed=observed))
    assert "refused: PyJWT (FastAPI dependency); accepted: the other 11\n" in told


def test_report_survives_its_json() -> None:
    """``--show`` prints earlier runs as one; of what was measured twice the later counts."""
    seen = ProbeOutcomes(
        app="pyjwt",
        answers={"no exp": "refused"},
        oversized={},
        renewals={"one": "none"},
    )
    one, other = _report(_cost("pyjwt", 5.0), observed=(seen,)), _report(_cost("linqi_asgi", 4.0))
    back = [Report.from_json(json.loads(json.dumps(part.as_json()))) for part in (one, other)]
    assert back == [one, other]
    joined = Report.joined([*back, _report(_cost("pyjwt", 6.0))])
    assert joined.costs == (_cost("pyjwt", 6.0), _cost("linqi_asgi", 4.0))
    assert joined.observed == (seen,)


def test_run_from_before_a_column_existed_is_still_shown() -> None:
    """A table of last year joins one of today; what it did not measure is blank."""
    members = _report(_cost("pyjwt", 5.0)).as_json()
    for cost in members["costs"]:
        del cost["claims"], cost["crowd"]
    told = as_markdown(Report.from_json(json.loads(json.dumps(members))))
    assert "| 5.0 ±1.0 |  |  |  |  |  | 5.0 ±1.0 |" in told


def test_every_token_of_a_measurement_stays_in_a_cache(tmp_path: Path) -> None:
    """The crowd is never verified again: no cache of ours evicts or forgets one of its tokens."""
    from rivals.apps.linqi_asgi import verifier

    plan = MeasurementPlan()
    files = TokenFiles("HS256", tmp_path, plan)
    paths = (files.crowd, files.cold, files.hot)
    crowd, *others = (path.read_text("ascii").split() for path in paths)
    assert len(crowd) == len(set(crowd)) == 10_000
    assert len(crowd) + sum(map(len, others)) <= CACHED
    checked = verifier(files.mint.material)
    for token in [*crowd, *(token for tokens in others for token in tokens)]:
        checked.verify(token)
    assert all(checked.cached(token) is not None for token in crowd)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.app)
def test_application_reads_the_claim_that_it_is_measured_with(rival, tmp_path: Path) -> None:
    """On the path of the claims column another tenant is refused, so the claim was decoded."""
    is_here = rival.runtime == "python" and {*rival.packages} <= _INSTALLED
    if not is_here or not rival.reads_claims:
        pytest.skip("runs in an environment of its own")
    mint = Mint("HS256")
    material = tmp_path / "material.json"
    mint.material.write(material)
    command = [sys.executable, "-m", "rivals.apps.serve", rival.app, "guarded", str(material)]
    with running_servers([command], tmp_path / "log") as (server,):
        answers = [
            reply_to(server.port, [mint.token(typical_claims(tenant=tenant))], "/tenant")
            for tenant in ("shop-1", "shop-2")
        ]
    assert answers == ["accepted", "refused"]


def test_generator_asks_for_the_route_of_a_column(tmp_path: Path) -> None:
    """The claims column is not measured on the path that reads the subject alone."""
    echo = (
        "import socket\nlistener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\nc, _ = listener.accept()\n"
        "status = b'200' if c.recv(4096).startswith(b'GET /tenant HTTP') else b'404'\n"
        "c.sendall(b'HTTP/1.1 %s OK\\r\\nContent-Length: 0\\r\\n\\r\\n' % status)"
    )
    tokens = tmp_path / "tokens"
    tokens.write_text("one")
    with (
        running_servers([[sys.executable, "-c", echo]], tmp_path / "log") as (server,),
        load_generator() as generator,
    ):
        generator.prepare("claims", tokens, "/tenant")
        generator.send(server.port, "claims", 0, 1)


def test_rival_without_a_release_for_this_python_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installer's errors are the reason, without its warnings, which name the machine."""
    installer = tmp_path / "python"
    installer.write_text(
        "#!/bin/sh\necho 'WARNING: /some/folder is ignored' >&2\n"
        "echo 'ERROR: Requires-Python >=3.12' >&2\n"
        "echo 'ERROR: No matching distribution' >&2\nexit 1\n"
    )
    installer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(installer))
    monkeypatch.setattr("rivals.environments._PYTHONS", tmp_path / "environments")
    (ryjwt,) = [rival for rival in RIVALS if rival.app == "ryjwt"]
    with pytest.raises(EnvironmentMissing) as missing:
        installed_environment(ryjwt, lambda line: None)
    assert str(missing.value) == "Requires-Python >=3.12; No matching distribution"
    report = replace(_report(), missing={"ryjwt": str(missing.value)})
    assert f"ryjwt (FastAPI dependency) was left out: {missing.value}" in as_markdown(report)


def test_each_version_of_python_has_environments_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on 3.13 does not reuse what a run on 3.11 installed."""
    monkeypatch.setattr("rivals.environments._PYTHONS", tmp_path)
    installed: list[Path] = []
    monkeypatch.setattr(
        "rivals.environments._install", lambda stamp, *others: installed.append(stamp)
    )
    monkeypatch.setattr("rivals.environments._python", lambda rival, program: None)
    for version in ((3, 11), (3, 13)):
        monkeypatch.setattr(sys, "version_info", version)
        installed_environment(RIVALS[3], lambda line: None)
    assert [stamp.parent.relative_to(tmp_path).parts for stamp in installed] == [
        ("3.11", RIVALS[3].requirements),
        ("3.13", RIVALS[3].requirements),
    ]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_tokens_have_the_size_that_all_are_measured_with(alg: str) -> None:
    """Tokens of every algorithm are about 800 bytes, and no two are the same."""
    mint = Mint(alg)
    tokens = {mint.token() for _ in range(3)}
    assert len(tokens) == 3
    assert all(abs(len(token) - TOKEN_BYTES) <= 4 for token in tokens)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe_is_signed_by_the_key_it_claims(probe) -> None:
    """A refusal then comes from the fault that the probe names, not from a slip in its making."""
    with_ = MintPair(Mint(probe.alg), Mint(probe.alg))
    token = probe.make(with_)
    if "signature" in probe.name or "none" in probe.name or "secret" in probe.name:
        return  # the signature itself is what is wrong there
    if probe.allows_both or "trailing" in probe.name or "own header" in probe.name:
        return
    material = with_.own.material
    key = jwt.get_algorithm_by_name(probe.alg).prepare_key(material.verifies_with)
    data, _, signature = token.rpartition(".")
    decoded = jwt.utils.base64url_decode(signature)
    assert jwt.get_algorithm_by_name(probe.alg).verify(data.encode(), key, decoded)


def test_answer_that_never_came_is_no_refusal(tmp_path: Path) -> None:
    """A server that hangs up is reported as that."""
    hang_up = (
        "import socket\nlistener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "while True: listener.accept()[0].close()"
    )
    with running_servers([[sys.executable, "-c", hang_up]], tmp_path / "log") as (server,):
        answer = reply_to(server.port, ["token"])
    assert "refused with nothing" in answer or "connection lost" in answer


@pytest.mark.long
def test_run_measures_and_probes_what_is_installed_here(tmp_path: Path) -> None:
    """Ours and the PyJWT rivals, as ``make rivals`` runs them, without installing anything."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "rivals", "--here", "--quick", "--algorithms", "HS256"),
            *("--only", "linqi_fastapi", "--only", "PyJWT (", "--json", str(tmp_path / "out.json")),
        ],
        cwd=BENCH,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    report = Report.from_json(json.loads((tmp_path / "out.json").read_text()))
    assert {cost.app for cost in report.costs} == {"linqi_fastapi", "pyjwt", "pyjwt_asgi"}
    for cost in report.costs:
        assert cost.note == ""
        assert cost.claims is not None
        assert cost.crowd is not None
        assert cost.bare is not None
        assert cost.bare.median > 0
        assert cost.decode_cold is not None
        assert cost.decode_cold.median > 0
    assert report.versions["pyjwt"]["PyJWT"] == jwt.__version__
    assert str(tmp_path) not in report.command, "a report may be published"


def test_probes_tell_a_cached_token_from_an_expired_one(tmp_path: Path) -> None:
    """Ours refuses each probe that is to be refused, and mints one successor for twenty."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "rivals", "--here", "--part", "behaviour"),
            *("--only", "linqi_asgi", "--json", str(tmp_path / "out.json")),
        ],
        cwd=BENCH,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    (seen,) = Report.from_json(json.loads((tmp_path / "out.json").read_text())).observed
    wanted = {probe.name: probe.wanted for probe in PROBES if probe.wanted != "either"}
    for name, answer in wanted.items():
        assert seen.answers[name] == answer or seen.answers[name].startswith("not possible"), name
    assert "1 different in 20 responses" in seen.renewals.values()
