"""Write the figures of the documentation into docs/images, and print the numbers in them."""

from pathlib import Path

from figures import choose, near_expiry, nine_oclock, outage, policies, session_life, storm
from figures.svg import Figure

IMAGES = Path(__file__).parent.parent / "images"


def figures() -> dict[str, Figure]:
    """Return all figures by their file names."""
    run = storm.play()
    drawn = {
        "nine_oclock.svg": nine_oclock.draw(),
        "storm_outage.svg": outage.draw(outage.play()),
    }
    for suffix in ("", "zh"):
        dotted = f".{suffix}" if suffix else ""
        drawn[f"storm_plain_grid{dotted}.svg"] = storm.draw(run, storm.WORDS[suffix])
        drawn[f"choose{dotted}.svg"] = choose.draw(choose.WORDS[suffix])
        drawn[f"near_expiry{dotted}.svg"] = near_expiry.draw(near_expiry.WORDS[suffix])
        drawn[f"session_life{dotted}.svg"] = session_life.draw(session_life.WORDS[suffix])
    return drawn


def main() -> None:
    """Write every figure; print what a reader is told who cannot see it, and the policies."""
    for name, figure in figures().items():
        figure.write(IMAGES / name)
        print(f"{name}: {figure.description}")
    print(*policies.rows(), sep="\n")


if __name__ == "__main__":
    main()
