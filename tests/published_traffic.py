"""Request instants of persons, drawn from published laws of web traffic.

The public logs themselves cannot be stored here. Each generator states where its laws were
published; what no paper gives (how often persons come, the shape of a day) is a stated assumption.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Mapping

DAY = 86_400.0


def pareto(rng: random.Random, least: float, shape: float, most: float = math.inf) -> float:
    """Draw from a Pareto distribution, cut at `most`."""
    return min(most, least * rng.paretovariate(shape))


def inverse_gaussian(rng: random.Random, mean: float, shape: float) -> float:
    """Draw from an inverse Gaussian (Michael, Schucany and Haas, 1976)."""
    y = rng.gauss(0, 1) ** 2
    x = mean + mean * (mean * y - math.sqrt(4 * mean * shape * y + (mean * y) ** 2)) / (2 * shape)
    return x if rng.random() <= mean / (mean + x) else mean * mean / x


def is_awake(rng: random.Random, at: float, depth: float) -> bool:
    """Accept an instant by the hour: the rate of a day is a cosine, least at 4 in the morning."""
    wave = (1 + math.cos((at / DAY - 16 / 24) * 2 * math.pi)) / 2
    return rng.random() < 1 - depth + depth * wave


def _visits(
    rng: random.Random,
    seconds: float,
    away: Callable[[random.Random], float],
    visit: Callable[[random.Random, float], list[float]],
    depth: float,
) -> array[float]:
    """Return the requests of a person who comes, stays for a visit, and stays away."""
    found = array("d")
    at = -rng.random() * away(rng)
    while at < seconds:
        if is_awake(rng, at, depth):
            instants = visit(rng, at)
            found.extend(now for now in instants if 0 <= now < seconds)
            at = instants[-1]
        at += away(rng)
    return found


def surfers(rng: random.Random, seconds: float) -> array[float]:
    """Draw a visitor of a public site of the 1990s.

    Clicks of a visit: inverse Gaussian with mean 2.98 and shape 6.24 (Huberman et al., Science 280,
    1998). Pauses: Pareto from 1 s with shape 1.5 (Barford and Crovella, SIGMETRICS 1998, inactive
    OFF times), cut at a day. Most persons come once in days (assumed: Pareto from 6 h, shape 0.9).
    """

    def visit(rng: random.Random, at: float) -> list[float]:
        found = [at]
        for _ in range(round(inverse_gaussian(rng, 2.98, 6.24) * 3)):
            found.append(found[-1] + pareto(rng, 4.0, 1.5, DAY))
        return found

    return _visits(rng, seconds, lambda r: pareto(r, 21_600, 0.9, 60 * DAY), visit, 0.7)


def readers(rng: random.Random, seconds: float) -> array[float]:
    """Draw a reader of an encyclopedia.

    Pauses are a mixture of lognormal laws, one of about a minute within a visit and one of about a
    day between visits, parted at about an hour (Halfaker et al., WWW 2015). The weights differ from
    person to person (assumed: 3 to 15 % of the pauses are between visits).
    """
    share = 0.03 + 0.12 * rng.random()
    found = array("d")
    at = rng.random() * 1.5 * seconds - 0.5 * seconds
    while at < seconds:
        if at >= 0:
            found.append(at)
        if rng.random() < share:
            at += rng.lognormvariate(math.log(72_000), 1.1)
            while not is_awake(rng, at, 0.8):
                at += 3_600
        else:
            at += rng.lognormvariate(math.log(60), 1.4)
    return found


def clerks(rng: random.Random, seconds: float) -> array[float]:
    """Draw a user of an office application: working days with reading, meetings and a weekend.

    Dwell times are a Weibull law with a shape below 1, "negative ageing" (Liu, White and Dumais,
    SIGIR 2010: 0.7 here, scale 60 s); events are 9.3 minutes apart in the mean and heavy-tailed
    (Catledge and Pitkow, 1995): a tenth of the pauses is Pareto from 240 s, shape 1.2 (assumed).
    """
    found = array("d")
    starts, stays = rng.gauss(9, 1) * 3_600, rng.gauss(7.5, 1.5) * 3_600
    for day in range(int(seconds / DAY) + 1):
        if day % 7 >= 5 or rng.random() < 0.1:
            continue
        at = day * DAY + starts + rng.gauss(0, 900)
        end = min(seconds, at + max(600.0, stays))
        while at < end:
            found.append(at)
            is_long = rng.random() < 0.1
            at += pareto(rng, 240, 1.2, 14_400) if is_long else 1 + rng.weibullvariate(60, 0.7)
    return found


def shoppers(rng: random.Random, seconds: float) -> array[float]:
    """Draw a customer of a shop: lognormal pauses within a visit, visits in clusters.

    Visits end after 25.5 minutes without a click in most analyses (Catledge and Pitkow, 1995);
    think times are lognormal with a median of 18 s and a heavy tail (sigma 1.3, assumed). A person
    comes 1 to 20 times in 10 days, by a Zipf law (Arlitt and Williamson, SIGMETRICS 1996: few hosts
    make most requests).
    """
    count = min(20, int(rng.paretovariate(1.1)))

    def visit(rng: random.Random, at: float) -> list[float]:
        found = [at]
        for _ in range(int(rng.expovariate(1 / 12)) + 1):
            found.append(found[-1] + rng.lognormvariate(math.log(18), 1.3))
            if rng.random() < 0.06:
                found[-1] += pareto(rng, 300, 1.1, 6_000)
        return found

    return _visits(rng, seconds, lambda r: r.expovariate(count / (10 * DAY)), visit, 0.85)


def watchers(rng: random.Random, seconds: float) -> array[float]:
    """Draw a dashboard that is open for hours: a request about each minute, and long absences.

    An ON/OFF source whose ON and OFF times are heavy-tailed (Willinger et al., IEEE/ACM ToN 5,
    1997): Pareto with the shapes 1.4 and 1.2 there; from 20 and 30 minutes here (assumed).
    """
    found = array("d")
    at = -rng.random() * 20_000
    while at < seconds:
        end = at + pareto(rng, 1_200, 1.4, DAY)
        while at < end:
            if 0 <= at < seconds:
                found.append(at)
            at += rng.gammavariate(2, 45)
        at += pareto(rng, 1_800, 1.2, 3 * DAY)
    return found


SITES: Mapping[str, Callable[[random.Random, float], array[float]]] = {
    "surfers": surfers,
    "readers": readers,
    "clerks": clerks,
    "shoppers": shoppers,
    "watchers": watchers,
}


def traffic(site: str, *, persons: int, seconds: float, seed: int) -> list[array[float]]:
    """Return the requests of each person, in rising order and at least a second apart."""
    rng = random.Random(f"{site} {seed}")
    found = []
    for _ in range(persons):
        own = array("d")
        for at in sorted(SITES[site](rng, seconds)):
            if not own or at - own[-1] >= 1:
                own.append(at)
        if own:
            found.append(own)
    return found
