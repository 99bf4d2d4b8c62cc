"""The whole story in one command: log, storm, tuning, proof.

``python run.py`` takes half a minute; ``python run.py --full`` takes eight, and its figures may
be quoted.
"""

import argparse
import collections
import gzip
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import make_log

HERE = Path(__file__).parent
OUT = HERE / "out"
VOID = 3  # the exit code of a storm whose load generator did not keep up
BARS = "▁▂▃▄▅▆▇█"
LOG = ["--log", "access.log.gz", "--log-session", "user", "--exclude", "bots"]


def command(*words, allowed=(0,)):
    """Run linqi in the folder of results, print the command, and return what it said."""
    print("  $ linqi", *words, flush=True)
    run = [sys.executable, "-m", "linqi", *words]
    done = subprocess.run(run, cwd=OUT, capture_output=True, text=True, encoding="utf-8")
    if done.returncode not in allowed:
        sys.exit(f"{done.stdout}{done.stderr}\nended with {done.returncode}")
    return done


def check(is_so, told):
    """Print what is so, or end because it is not."""
    if not is_so:
        sys.exit(f"  NOT AS TOLD: {told}")
    print(f"  ok: {told}")


def arrivals(log):
    """Return how many first requests of a day each five minutes hold."""
    first = {}
    with gzip.open(log, "rt", encoding="utf-8") as lines:
        for line in lines:
            user, day, clock = re.match(r"\S+ - (\S+) \[([^:]+):(\d\d:\d\d)", line).groups()
            if user != "probe":
                first.setdefault((user, day), clock[:3] + f"{int(clock[3:]) // 5 * 5:02}")
    return collections.Counter(first.values())


def curve(path, columns=60):
    """Return the renewals of a storm over its time as a line of bars, and the highest rate."""
    rates = json.loads(path.read_text("utf-8"))["rates"]["per_second"]
    parts = [
        rates[i * len(rates) // columns : (i + 1) * len(rates) // columns] for i in range(columns)
    ]
    tops = [max(part, default=0) for part in parts]
    highest = max(tops) or 1
    return "".join(BARS[round(top / highest * 7)] for top in tops), highest


def figures(path):
    """Return what a storm measured, by name."""
    run = json.loads(path.read_text("utf-8"))
    sessions = run["sessions"]
    return {
        "storm factor": run["peaks"][0]["factor"],
        "storm factor of even renewals, by chance": run["peaks"][0]["noise95"],
        "sessions that had to sign in again": sessions["lapsed"],
        "sessions lost although a request came in time": sessions["forced_out"],
    }


def told(advice, name):
    """Return the forced sign-ins that the tuner expects under the settings of an option."""
    found = (
        advice["current"]
        if name == "in force"
        else next(option for option in advice["options"] if option["name"] == name)
    )
    plan, sign_ins = found["plan"], found["outcome"]["forced_sign_ins"]["per_person_day"]
    return (
        f"{name}: buffer {plan['buffer_seconds']:.0f} s, {plan['policy']}:"
        f" {sign_ins['value']:.1f} ({sign_ins['low']:.1f} to {sign_ins['high']:.1f})"
        " forced sign-ins per person and day"
    )


def judged(compress):
    """Print what the two storms of the proof measured, and check it."""
    before, after = (figures(OUT / "proof" / f"{side}-1.json") for side in ("before", "after"))
    for name, value in before.items():
        print(f"  {name}: {value:.3g} before, {after[name]:.3g} after")
    for side in ("before", "after"):
        bars, highest = curve(OUT / "proof" / f"{side}-1.json")
        print(f"  {side:>6} {bars} at most {highest * 60 / compress:.0f} renewals a minute")
    check(after["storm factor"] < before["storm factor"], "the storm is smaller")
    check(
        after["sessions that had to sign in again"] < before["sessions that had to sign in again"],
        "fewer users must sign in again",
    )
    lost = "sessions lost although a request came in time"
    check(before[lost] == after[lost] == 0, "no session was lost although a request came in time")
    print((OUT / "linqi.toml").read_text("utf-8"))
    print("  read out/proof/after-1.html, which shows both storms, and out/tuning.html")


def main():
    """Tell the story; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="400 people, storms of 80 seconds")
    is_full = parser.parse_args().full
    people, days, compress = (400, 10, "60") if is_full else (60, 5, "900")
    began = time.monotonic()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for file in ("linqi.toml", "shop.py"):
        shutil.copy(HERE / file, OUT)
    storm = ["--app", "shop:app", "--compress", compress]

    print("1. The access log: when does each user send the first request of a day?")
    requests = make_log.write(OUT / "access.log.gz", people, days)
    found = arrivals(OUT / "access.log.gz")
    for clock, count in sorted(found.items()):
        print(f"  {clock}  {'#' * round(60 * count / max(found.values()))} {count}")
    share = sum(found[clock] for clock in ("08:55", "09:00")) / sum(found.values())
    check(
        share > 0.9,
        f"{share:.0%} of all days begin within five minutes of nine ({requests} requests)",
    )

    print("2. A storm with the pages and pauses of the log, and the settings in force")
    gaps = "log:access.log.gz?session=user&exclude=bots"
    load = ["--gaps", gaps, "--sessions", str(people), "--output", "storm.json"]
    seconds = f"{3600 * 4 / 3 / int(compress):.0f}"
    seen = command(
        "storm", *storm, "--config", "linqi.toml", *load, "--seconds", seconds, allowed=(0, VOID)
    )
    bars, highest = curve(OUT / "storm.json")
    print(f"  renewals {bars} at most {highest * 60 / int(compress):.0f} a minute")

    print("3. The advice for this log")
    advice = json.loads(command("tune", *LOG, "--dry-run", "--json").stdout)
    for name in ("in force", "balanced"):
        print(" ", told(advice, name))

    print("4. Write it, and prove it by storms before and after")
    prove = [
        "--prove",
        *storm,
        "--path",
        "/orders",
        "--prove-sessions",
        str(people),
        "--prove-folder",
        "proof",
    ]
    if seen.returncode != VOID:
        prove += ["--storm", "storm.json"]
    proof = command("tune", *LOG, *prove, "--yes", "--html", "tuning.html", allowed=(0, VOID))
    if proof.returncode == VOID:
        print(f"  VOID: {proof.stderr.strip() or proof.stdout.strip().splitlines()[-1]}")
        print("  Other programs kept this machine too busy to prove anything; the advice stands.")
        return VOID if is_full else 0
    judged(int(compress))
    print(f"done in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
