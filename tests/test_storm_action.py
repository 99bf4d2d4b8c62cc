"""The script of the composite action, run as a plain script with real storms."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from linqi_storm.report.locust_markdown import locust_markdown
from test_locust_user import LOCUSTFILE, service

ACTION = Path(__file__).parent.parent / "loadtests" / "action"
SHOP = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def cart(request):
    return JSONResponse({"user": request.scope["user"].identity})

app = Starlette(routes=[Route("/cart", cart)])
"""
SETTINGS = """
[verify]
issuer = "https://shop.example"
audience = "shop"

[keys]
file = "keys.json"

[renewal]
lifetime_seconds = 900
buffer_seconds = 300
"""


def run(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a folder, as a step of a job does."""
    environment = {
        **os.environ,
        "LINQI_PYTHON": sys.executable,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        **settings,
    }
    return subprocess.run(
        ["/bin/bash", str(ACTION / "storm.sh")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_a_faulty_option_is_the_exit_code_and_in_the_summary(tmp_path: Path) -> None:
    """The job ends with 2, the reason is in its log; arguments are not executed."""
    done = run(tmp_path, ARGUMENTS="--app shop:app --tag '$(touch hacked)' --stage `touch hacked`")
    assert done.returncode == 2
    assert "there is no scenario 'hacked`'" in done.stderr
    assert (tmp_path / "summary.md").read_text() == "### linqi storm did not run (exit code 2)\n"
    assert not (tmp_path / "hacked").exists()


def test_the_action_gives_each_setting_to_the_script() -> None:
    """Inputs reach the script as environment variables only: none is pasted into its text."""
    action, script = (ACTION / "action.yml").read_text(), (ACTION / "storm.sh").read_text()
    steps = action[action.index("  steps:") :]
    for name in ("ARGUMENTS", "LOCUSTFILE", "BASELINE", "AGAINST", "RESULTS", "COMMENT"):
        assert f"        {name}: ${{{{ inputs.{name.lower()} }}}}\n" in steps
        assert f"{name}:-" in script or f'"{name}"' in script
    runs = re.findall(r"run: (?:\|\n((?:          .*\n)+)|(.*)\n)", steps)
    assert len(runs) == 2
    assert not any("${{" in text for pair in runs for text in pair)


def test_markdown_of_a_locust_run_names_what_failed() -> None:
    """The verdict is the exit code; each row has its failures."""
    row = {"method": "VIOLATION", "name": "expired tokens accepted", "num_requests": 3}
    row |= {"num_failures": 3, "total_response_time": 0, "max_response_time": 0}
    text = locust_markdown([row], 1)
    assert text.startswith("### ❌ Locust with LinqiUser: FAIL (exit code 1)")
    assert "failed: 3 of VIOLATION expired tokens accepted" in text
    assert "| VIOLATION | expired tokens accepted | 3 | 3 |" in text


@pytest.mark.long
def test_a_storm_in_an_empty_folder_fails_for_the_right_reason(tmp_path: Path) -> None:
    """The application passes, and one that lets caches store tokens is named for it."""
    (tmp_path / "linqi.toml").write_text(SETTINGS)
    arguments = "--app shop:app --config linqi.toml --path /cart --sessions 60 --seconds 24"
    arguments += " --compress 60 --alg ES256 --require 'forced_logouts == 0'"
    (tmp_path / "shop.py").write_text(SHOP)
    done = run(
        tmp_path, ARGUMENTS=arguments, COMMENT="true", PULL_REQUEST="1", PATH="/usr/bin:/bin"
    )
    assert done.returncode in (0, 3), done.stdout[-3_000:] + done.stderr[-3_000:]
    assert "could not be posted" in done.stderr
    (tmp_path / "linqi-storm" / "storm.json").rename(tmp_path / "before.json")
    (tmp_path / "shop.py").write_text(SHOP.replace('request.scope["user"].identity', '"user-1"'))
    (tmp_path / "summary.md").unlink()
    done = run(tmp_path, ARGUMENTS=arguments, AGAINST="before.json")
    assert done.returncode == 1, done.stdout[-3_000:] + done.stderr[-3_000:]
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("### ❌ linqi storm: FAIL")
    assert "answers for another user" in summary
    assert "Compared with the earlier run" in summary
    for name in ("storm.json", "storm.html", "storm.xml", "storm.csv", "storm.md"):
        assert (tmp_path / "linqi-storm" / name).stat().st_size > 100


@pytest.mark.long
@pytest.mark.parametrize(("user", "code"), [("SlidingHttp", 0), ("Storable", 1)])
def test_a_locustfile_fails_for_the_right_reason(tmp_path: Path, user: str, code: int) -> None:
    """The users of a correct service pass; of a faulty one the broken rule is in the summary."""
    (tmp_path / "locustfile.py").write_text(LOCUSTFILE)
    with ExitStack() as stack:
        fault = "storable" if code else ""
        url = service(stack, tmp_path, "sliding", LIFETIME="1.8", FAULT=fault)
        hosts = dict.fromkeys(("SLIDING", "DUAL", "FORGETFUL", "STORABLE", "EXPIRED"), url)
        done = run(tmp_path, LOCUSTFILE="locustfile.py", ARGUMENTS=f"-u 1 -t 6 {user}", **hosts)
    assert done.returncode == code, done.stderr[-3_000:]
    summary = (tmp_path / "summary.md").read_text()
    assert f"(exit code {code})" in summary
    assert ("VIOLATION | tokens that a cache may store" in summary) == bool(code)
