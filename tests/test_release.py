"""What is built can be published: versions agree, links are absolute, the sdist is complete."""

import re
import subprocess
from email import message_from_string
from pathlib import Path

import pytest
import yaml

from release_check import artifacts, installed
from release_check.__main__ import main
from release_check.versions import ROOT, named_versions, notes, project_version, version_faults


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a wheel and an sdist of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    artifacts.build(folder)
    return folder


def test_all_files_name_one_version() -> None:
    """The project file, the package, the browser module and the changelog agree."""
    assert set(named_versions().values()) == {project_version()}


@pytest.mark.parametrize(
    ("tag", "earlier", "said"),
    [
        ("v9.9.9", [], "the tag is v9.9.9"),
        (f"v{project_version()}", [f"v{project_version()}"], "a version is published once"),
    ],
)
def test_a_wrong_tag_is_refused(tag: str, earlier: list[str], said: str) -> None:
    """A tag is that of the version, and is given once."""
    assert said in "\n".join(version_faults(tag, frozenset(earlier)))


def test_the_notes_are_those_of_the_newest_version() -> None:
    """The page of a release has the section of the changelog, with absolute links."""
    text = notes()
    assert "### Highlights" in text
    assert "## [" not in text.replace("### ", "")
    assert all(to.startswith("https://") for to in re.findall(r"\]\(([^)#][^)]*)\)", text))


def test_the_wheel_can_be_published(dist: Path) -> None:
    """It has the five packages, their type marks, the licence, and absolute links only."""
    assert artifacts.wheel_faults(artifacts.wheel_of(dist)) == []


def test_a_relative_link_in_the_description_is_found() -> None:
    """A picture or a page that the site of packages could not load is a fault."""
    head = "Metadata-Version: 2.4\nDescription-Content-Type: text/markdown\n\n"
    for link in (
        "![storm](docs/images/storm.svg)",
        "[storm]: docs/images/storm.svg",
        '<img src="docs/images/storm.svg">',
    ):
        faults = artifacts.description_faults(message_from_string(head + link))
        assert faults == ["the description links to docs/images/storm.svg"]


def test_two_headings_of_one_version_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two branches that each began the next version leave them after a merge."""
    for name in named_versions():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    with (tmp_path / "CHANGELOG.md").open("a", encoding="utf-8") as file:
        file.write(f"\n## [{project_version()}] - unreleased\n")
    monkeypatch.setattr("release_check.versions.ROOT", tmp_path)
    (fault,) = version_faults()
    assert "has 2 headings" in fault


def test_metadata_that_an_older_twine_refuses_is_found() -> None:
    """Hatchling 1.32 writes 2.5 unless it is told otherwise, and twine 6 does not upload it."""
    text = "Metadata-Version: 2.5\nDescription-Content-Type: text/markdown\n\n[a](https://a.test)"
    faults = artifacts.description_faults(message_from_string(text))
    assert faults == ["METADATA has version 2.5, which twine 6 refuses"]


def test_jobs_that_may_write_or_publish_run_no_foreign_code() -> None:
    """Each action is pinned by commit; a job with a right to write installs no package."""
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    uses = re.findall(r"uses: (\S+)", text)
    assert [one for one in uses if not re.search(r"@[0-9a-f]{40}$|^\./", one)] == []
    jobs = dict(
        re.findall(r"^  (\w+):\n((?:    .*\n|\n|  #.*\n)+)", text.partition("\njobs:\n")[2], re.M)
    )
    writing = {name: job for name, job in jobs.items() if ": write" in job}
    assert set(writing) == {"attest", "publish", "tag", "documentation"}
    assert [
        name for name, job in writing.items() if re.search("pip|make |PYTHONPATH=tests", job)
    ] == []


def scripts() -> list[str]:
    """Return the shell scripts of the workflow."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job.get("steps", [])]
    return [step["run"] for step in steps if "run" in step]


@pytest.mark.parametrize("script", scripts())
def test_the_scripts_of_the_workflow_are_shell(script: str) -> None:
    """Most of them run for the first time after a version was published."""
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)  # noqa: S607
    assert (parsed.returncode, parsed.stderr) == (0, "")


def test_what_hangs_says_last_is_told(tmp_path: Path) -> None:
    """A check that waits for the index ends, and names the package that it waits for."""
    bare = installed.Bare(tmp_path)
    program = "import time; print('Collecting duckdb', flush=True); time.sleep(60)"
    with pytest.raises(RuntimeError, match="not ended after 3 s; it said last: Collecting duckdb"):
        bare.python("-c", program, seconds=3)


def test_a_build_needs_no_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sdist is no clone, and a machine that builds it may have no git."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    built = artifacts.build(tmp_path / "dist", artifacts.ROOT, "wheel")
    assert [path.suffix for path in built] == [".whl"]


def test_the_sdist_makes_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    """Who builds from the sdist gets what was published as a wheel."""
    root = artifacts.unpack(dist, tmp_path / "sdist")
    artifacts.build(tmp_path / "wheel", root, "wheel")
    made = artifacts.contents(artifacts.wheel_of(tmp_path / "wheel"))
    assert made == artifacts.contents(artifacts.wheel_of(dist))
    assert (root / "tests" / "conftest.py").exists()
    assert (root / "Makefile").exists(), "make test and tests/test_makefile.py need it"
    assert (root / "requirements" / "dev.txt").exists()


def test_a_wrong_tag_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is built, with 1, and with the tag that was expected."""
    monkeypatch.setattr("sys.argv", ["release_check", "--tag", "v9.9.9"])
    assert main() == 1
    assert f"expected v{project_version()}" in capsys.readouterr().err
