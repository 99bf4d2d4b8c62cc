"""Write the figures of the documentation into docs/images, and print the numbers in them."""

from pathlib import Path

from figures import choose, storm
from figures.svg import Figure

IMAGES = Path(__file__).parent.parent / "images"


def figures() -> dict[str, Figure]:
    """Return all figures by their file names."""
    run = storm.play()
    drawn = {}
    for suffix, words in storm.WORDS.items():
        name = f"storm_plain_grid.{suffix}.svg" if suffix else "storm_plain_grid.svg"
        drawn[name] = storm.draw(run, words)
    for suffix, chosen in choose.WORDS.items():
        drawn[f"choose.{suffix}.svg" if suffix else "choose.svg"] = choose.draw(chosen)
    return drawn


def main() -> None:
    """Write every figure, and print what a reader is told who cannot see it."""
    for name, figure in figures().items():
        figure.write(IMAGES / name)
        print(f"{name}: {figure.description}")


if __name__ == "__main__":
    main()
