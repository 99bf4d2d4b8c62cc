"""What rivals that take one algorithm say to a list of them."""

from rivals.material import Material


def only_algorithm(material: Material) -> str:
    """Return the one algorithm; exit where more are to be allowed."""
    if len(material.algorithms) > 1:
        raise SystemExit("takes one algorithm, so the question does not arise")
    return material.alg
