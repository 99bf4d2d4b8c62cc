"""What every page keeps: it says at once what it does for the reader, and ends with its limits."""

import re
from collections import Counter
from itertools import pairwise

from website.pages import first_sentence, text_and_code

# Records and lists that are not read as an answer to a task.
EXEMPT = ("docs/decisions/", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md")
COMMENT = re.compile(r"<!--.*?-->", re.S)
MOST_WORDS = 60  # of the first paragraph's first sentence


def page_faults(source: str, markdown: str) -> list[str]:
    """Return which rules a page breaks, one sentence each.

    Args:
        source: The page's path from the repository's root.
        markdown: Its text.

    """
    if source.startswith(EXEMPT):
        return []
    prose = "".join(line for line, is_text in text_and_code(markdown) if is_text)
    titles = re.findall(r"^# (.+)$", prose, re.M)
    sections = re.findall(r"^## (.+)$", prose, re.M)
    faults = []
    if len(titles) != 1:
        faults.append(f"{source} has {len(titles)} titles; a page has one")
    opening = first_sentence(markdown)
    below = COMMENT.sub("", re.split(r"^# .+$", markdown, maxsplit=1, flags=re.M)[-1]).strip()
    if not opening or below.startswith(tuple("|-#>!<")):
        faults.append(f"{source} does not say below its title what it does for the reader")
    elif len(opening.split()) > MOST_WORDS:
        faults.append(f"{source} begins with a sentence of {len(opening.split())} words")
    last = "限制" if source.startswith("docs/zh/") else "Limits"
    if not sections or sections[-1] != last:
        faults.append(f"{source} does not end with a section {last!r}")
    elif not prose.rpartition(f"## {last}\n")[2].strip():
        faults.append(f"{source} has an empty section {last!r}")
    return faults + heading_faults(source, prose)


def heading_faults(source: str, prose: str) -> list[str]:
    """Return which headings are there twice, or stand too deep, one sentence each.

    Args:
        source: The page's path from the repository's root.
        prose: Its text without fenced code.

    """
    headings = re.findall(r"^(#{1,6}) (.+)$", prose, re.M)
    counted = Counter(text.lower() for _, text in headings)
    faults = [
        f"{source} has the heading {text!r} {times} times: a link to it leads to the first alone"
        for text, times in counted.items()
        if times > 1
    ]
    for (above, _), (marks, text) in pairwise(headings):
        if len(marks) > len(above) + 1:
            faults.append(f"{source} has {text!r} {len(marks) - len(above)} levels below the last")
    return faults
