"""Draw the README's badges into docs/images/, from pyproject.toml, so that they say what is true and need no network.

python docs/scripts/badges.py
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs/images"


def badges() -> dict[str, str]:
    """A file's name -> its SVG."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = {
        "licence": ("licence", project["license"]),
        "python": ("python", project["requires-python"]),
        "paper": ("arXiv", project["urls"]["Paper"].rsplit("/", 1)[-1]),
    }
    return {f"badge-{name}.svg": svg(*text) for name, text in texts.items()}


def svg(left: str, right: str) -> str:
    """A badge of two words, 20 px high."""
    a, b = (7 * len(word) + 12 for word in (left, right))
    right = right.replace(">", "&gt;")
    look = 'y="14" text-anchor="middle" font-family="Verdana,sans-serif" font-size="11" fill="#fff"'
    word = f'<text x="{{x}}" {look}>{{t}}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{a + b}" height="20" role="img" aria-label="{left}: {right}">'
        f'<rect width="{a}" height="20" fill="#555"/><rect x="{a}" width="{b}" height="20" fill="#2c5aa0"/>'
        f"{word.format(x=a / 2, t=left)}{word.format(x=a + b / 2, t=right)}</svg>\n"
    )


if __name__ == "__main__":
    for name, text in badges().items():
        (OUT / name).write_text(text, encoding="utf-8")
