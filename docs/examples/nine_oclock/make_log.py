"""Makes the access log of a wholesaler whose employees sign in at nine.

The log is made, not recorded: an arrival within minutes of nine, pages with short and long
pauses, meetings, lunch, an evening. The same arguments give the same bytes. A log of your own
takes its place; nothing below knows that this one is made.
"""

import gzip
import math
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MONITOR = "Uptime-Kuma/2.0"
# A page is one request of the browser for the page, and those of its script.
PAGES = [
    (5, ["/orders", "/api/orders", "/api/stock"]),
    (3, ["/customers", "/api/customers"]),
    (2, ["/invoices"]),
]


def working_day(rng):
    """Return the seconds since midnight at which an employee opens pages."""
    now = 9 * 3600 + rng.gauss(0, 90)  # signs in
    evening = 17 * 3600 + rng.gauss(0, 1800)
    lunch = 12 * 3600 + rng.gauss(0, 600)
    pages = []
    while now < evening:
        pages.append(now)
        kind = rng.random()
        if now > lunch:
            now, lunch = now + rng.uniform(1800, 3600), math.inf
        elif kind < 0.008:
            now += rng.uniform(1800, 5400)  # a meeting
        elif kind < 0.06:
            now += rng.uniform(240, 1500)  # a call, a parcel
        else:
            now += 2 + rng.lognormvariate(math.log(80), 1)  # reads, types
    return pages


def lines(people, days, seed=9):
    """Yield (time, line) of the log in the combined format, unsorted."""
    rng = random.Random(seed)  # noqa: S311 - the same log each time, not a secret
    weights = [weight for weight, _ in PAGES]
    for day in range(days):
        date = MONDAY + timedelta(days=day // 5 * 7 + day % 5)  # no weekends
        for person in range(people):
            if rng.random() < 0.08:
                continue  # on leave
            for second in working_day(rng):
                _, paths = rng.choices(PAGES, weights)[0]
                for path in paths:
                    yield entry(date + timedelta(seconds=second), f"e{person:03}", path, BROWSER)
        for minute in range(0, 24 * 60, 5):
            yield entry(date + timedelta(minutes=minute), "probe", "/orders", MONITOR)


def entry(at, user, path, agent):
    """Return the time and the line of a request."""
    stamp = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
    return at, f'10.0.0.1 - {user} [{stamp}] "GET {path} HTTP/1.1" 200 512 "-" "{agent}"\n'


def write(file, people, days):
    """Write the log, sorted by time; return how many requests it has."""
    text = [line for _, line in sorted(lines(people, days), key=lambda item: item[0])]
    with Path(file).open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        packed.write("".join(text).encode())
    return len(text)


if __name__ == "__main__":
    file, people, days = sys.argv[1:]
    print(write(file, int(people), int(days)), "requests")
