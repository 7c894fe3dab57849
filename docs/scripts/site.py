"""What mkdocs does not do by itself: pages from outside docs/, and pages made from the code.

* README.md is the home page, and files of the repository that pages link to are part of the site, under repo/.
* reference/train-gan.md and its neighbours are made from the programs' own parsers.
* tutorial.md is the tutorial's notebook, executed.
"""

import os
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parents[2]))

from docs.scripts.flags import flag_pages
from docs.scripts.tutorial_page import tutorial_page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(\]\(|src=\")(?!https?:|#|mailto:)([^)#\"\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and every file outside docs/ that a page links to."""
    made: dict[str, str | bytes] = {**flag_pages(), **tutorial_page(ROOT / "docs/tutorial.py")}
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    queue = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "examples/README.md"]
    queue += sorted((ROOT / "docs").rglob("*.md"))
    seen: set[Path] = set()
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        place = place_of(path)
        if files.get_file_from_path(place) is None:
            files.append(File.generated(config, place, abs_src_path=str(path)))
        if path.suffix == ".md":
            targets = [Path(os.path.normpath(path.parent / match[2])) for match in LINK.finditer(path.read_text())]
            queue += [target for target in targets if target.is_file() and target.is_relative_to(ROOT)]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between places of the site."""
    source = Path(page.file.abs_src_path or ROOT / "docs" / page.file.src_uri)

    def moved(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / match[2]))
        if not target.is_file() or not target.is_relative_to(ROOT):
            return match[0]
        return match[1] + os.path.relpath(place_of(target), Path(page.file.src_uri).parent)

    # output[1][0] in a table is an index, not a reference.
    return re.sub(r"(\w)\[(\d)\]\[(\d)\]", r"\1\\[\2\\]\\[\3\\]", LINK.sub(moved, markdown))


def place_of(path: Path) -> str:
    """Where a file of the repository lies in the site."""
    if path == ROOT / "README.md":
        return "index.md"
    if path == ROOT / "docs/tutorial.py":
        return "tutorial.md"
    inside = path.relative_to(ROOT)
    return str(inside.relative_to("docs")) if inside.parts[0] == "docs" else f"repo/{inside}"
