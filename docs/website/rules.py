"""What every page keeps: it says at once what it does for the reader, and ends with its limits."""

import re

from website.pages import first_sentence, text_and_code

# Records and lists that are not read as an answer to a task.
EXEMPT = ("docs/decisions/", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md")
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
    if not opening:
        faults.append(f"{source} does not say below its title what it does for the reader")
    elif len(opening.split()) > MOST_WORDS:
        faults.append(f"{source} begins with a sentence of {len(opening.split())} words")
    last = "限制" if source.startswith("docs/zh/") else "Limits"
    if not sections or sections[-1] != last:
        faults.append(f"{source} does not end with a section {last!r}")
    return faults
