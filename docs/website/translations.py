"""The Chinese pages: which English page each one follows, and whether it is up to date."""

import hashlib
import tomllib
from dataclasses import dataclass

from website.pages import DOCS, ROOT, PageFault

LIST = DOCS / "zh" / "translations.toml"
HEAD = """\
# What each Chinese page follows. `sha256` is the digest of the English page that was translated:
# `python -m website translated zh/start.md` writes it after the translation was brought up to date.
# `stale = true` says that the English page has changed since; the Chinese page then shows it.
# A page without a source was written in Chinese.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A Chinese page and the English page that it follows.

    Attributes:
        page: The Chinese page, from `docs/`, or from the root for `README.zh-CN.md`.
        source: The English page, from the repository's root; "" for a page written in Chinese.
        sha256: The digest of the English page when it was translated, in hexadecimal.
        is_stale: Whether the Chinese page tells that the English one has changed since.

    """

    page: str
    source: str = ""
    sha256: str = ""
    is_stale: bool = False


def translations() -> list[Translation]:
    """Return the entries of `docs/zh/translations.toml` in their order."""
    entries = tomllib.loads(LIST.read_text("utf-8"))
    return [
        Translation(
            page=page,
            source=entry.get("source", ""),
            sha256=entry.get("sha256", ""),
            is_stale=entry.get("stale", False),
        )
        for page, entry in entries.items()
    ]


def digest_of(source: str) -> str:
    """Return the digest of a page, from the repository's root; "" if there is no such page."""
    at = ROOT / source
    return hashlib.sha256(at.read_bytes()).hexdigest() if at.is_file() else ""


def translation_faults(required: set[str]) -> list[str]:
    """Return what is wrong with the translations, one sentence each.

    Args:
        required: The English pages, from the root, that must have a translation.

    """
    listed = translations()
    faults = [
        f"{one.source} has changed since {one.page} was translated: bring it up to date and run "
        f"`python -m website translated {one.page}`, or set `stale = true`"
        for one in listed
        if one.source and not one.is_stale and digest_of(one.source) != one.sha256
    ]
    faults += [
        f"{one.page} is marked as stale, but follows the English page as it is"
        for one in listed
        if one.is_stale and digest_of(one.source) == one.sha256
    ]
    faults += [
        f"{one.page} follows {one.source}, which is no file"
        for one in listed
        if one.source and not (ROOT / one.source).is_file()
    ]
    missing = required - {one.source for one in listed}
    faults += [f"{source} has no Chinese translation" for source in sorted(missing)]
    faults += [
        f"{page} of translations.toml has {key!r}; expected source, sha256 or stale"
        for page, entry in tomllib.loads(LIST.read_text("utf-8")).items()
        for key in sorted(entry.keys() - {"source", "sha256", "stale"})
    ]
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "zh").rglob("*.md")}
    there |= {path.name for path in ROOT.glob("README.*.md")}
    names = {one.page for one in listed}
    faults += [f"{page} is not in docs/zh/translations.toml" for page in sorted(there - names)]
    faults += [f"{page} of translations.toml is no file" for page in sorted(names - there)]
    return faults


def mark_translated(page: str) -> None:
    """Write down that a Chinese page follows the English page as it is now.

    Raises:
        PageFault: `page` is no translation in `docs/zh/translations.toml`.

    """
    listed = translations()
    if page not in {one.page for one in listed if one.source}:
        raise PageFault(f"{page} is no translation in docs/zh/translations.toml")
    entries = []
    for one in listed:
        sha256 = digest_of(one.source) if one.page == page else one.sha256
        stale = one.is_stale and one.page != page
        lines = [f'["{one.page}"]']
        if one.source:
            lines += [f'source = "{one.source}"', f'sha256 = "{sha256}"']
        entries.append("\n".join(lines + ["stale = true"] * stale))
    LIST.write_text(HEAD + "\n" + "\n\n".join(entries) + "\n", "utf-8")
