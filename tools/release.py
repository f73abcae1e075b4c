"""Prepare a release: ``make release VERSION=0.2.0`` sets the version, dates the changelog. A person commits and tags.

``make tagged TAG=v0.2.0`` checks that the tag names the version of the sources; CI does so before it publishes.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PLACES = {
    "pyproject.toml": r'^version = "(.+)"$',
    "src/leukopy/__init__.py": r'^__version__ = "(.+)"$',
    "CITATION.cff": r"^version: (.+)$",
}
"""Files that state the version, and how."""


class ReleaseError(Exception):
    """The release cannot be made as things stand."""


def version(root: Path) -> str:
    """The one version that all files state.

    Raises:
        ReleaseError: they differ.
    """
    stated = {name: _only(root / name, pattern)[1] for name, pattern in PLACES.items()}
    if len(set(stated.values())) > 1:
        raise ReleaseError(f"The files state different versions: {stated}.")
    return stated["pyproject.toml"]


def prepare(root: Path, new: str, day: str) -> None:
    """Set the version, and close the section of the changelog that was open.

    Raises:
        ReleaseError: the version is none, or not after the last one, or nothing has changed since.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", new):
        raise ReleaseError(f"{new}: give MAJOR.MINOR.PATCH, as in 0.2.0.")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text("utf-8")
    opened, rest = _section(text)
    if "\n- " not in opened:
        raise ReleaseError("CHANGELOG.md: [Unreleased] lists no change.")
    last = re.search(r"^## \[(\d+\.\d+\.\d+)\]", rest, re.M)
    if last and _numbers(new) <= _numbers(last[1]):
        raise ReleaseError(f"{new} is not after {last[1]}, the last version of CHANGELOG.md.")
    version(root)
    for name, pattern in PLACES.items():
        found = _only(root / name, pattern)
        content = found.string
        (root / name).write_text(content[: found.start(1)] + new + content[found.end(1) :], "utf-8")
    changelog.write_text(text.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{new}] - {day}\n", 1), "utf-8")


def _section(text: str) -> tuple[str, str]:
    """What stands under [Unreleased], and all after it."""
    after = text.partition("## [Unreleased]\n")[2]
    end = after.find("\n## [")
    return (after, "") if end < 0 else (after[:end], after[end:])


def _only(path: Path, pattern: str) -> re.Match[str]:
    found = list(re.finditer(pattern, path.read_text("utf-8"), re.M))
    if len(found) != 1:
        raise ReleaseError(f"{path.name} does not state the version once.")
    return found[0]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def main(words: list[str]) -> int:
    """Prepare the version that is named, or compare a tag with it."""
    try:
        if words[:1] == ["--tag"] and len(words) == 2:
            if words[1] != f"v{version(REPOSITORY)}":
                raise ReleaseError(f"The tag is {words[1]}, the version {version(REPOSITORY)}.")
            return 0
        if len(words) != 1:
            raise ReleaseError("Give one version, as in: make release VERSION=0.2.0")
        prepare(REPOSITORY, words[0], f"{datetime.now(UTC):%Y-%m-%d}")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"""leukopy is {words[0]} now. Read the difference, then:
    .ci/run && make wheel sbom
    git commit -am "Release {words[0]}" && git tag -a v{words[0]} -m "leukopy {words[0]}"
    git push origin main v{words[0]}""")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
