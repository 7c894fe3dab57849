"""HTML in which everything is escaped except what is marked as HTML already."""

import base64
import html
from collections.abc import Mapping, Sequence


class Html(str):
    """Text that is HTML and stays as it is; any other string is escaped where it is put into a page."""


def escape(text: str) -> Html:
    """The text as HTML."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def tag(name: str, *content: str, **attributes: str) -> Html:
    """An element; `class_` and the like lose their last underscore."""
    given = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{''.join(escape(part) for part in content)}</{name}>")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], class_: str = "") -> Html:
    """A table whose first column names the row."""
    top = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = [tag("tr", tag("th", first, scope="row"), *(_cell(cell) for cell in others)) for first, *others in rows]
    return tag("div", tag("table", tag("thead", top), tag("tbody", *body), class_=class_), class_="scroll")


def _cell(text: str) -> Html:
    """Numbers are never broken into two lines; longer words may be."""
    return tag("td", text, class_="number") if text[:1].isdigit() and len(text) < 24 else tag("td", text)


def picture(data: bytes, mime: str, alt: str, class_: str = "") -> Html:
    """An image embedded in the page."""
    source = f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"
    return Html(f'<img src="{source}" alt="{html.escape(alt)}" class="{html.escape(class_)}">')


def section(title: str, *content: str) -> Html:
    """A heading and what follows it."""
    return Html(tag("h2", title) + "".join(escape(part) for part in content))


def note(text: str) -> Html:
    """A paragraph in a quiet colour."""
    return tag("p", text, class_="quiet")


def figure(image: Html, caption: str) -> Html:
    """An image above its caption."""
    return tag("figure", image, tag("figcaption", caption))


def definitions(values: Mapping[str, str], class_: str) -> Html:
    """A list of names and values."""
    return tag("dl", *(tag("div", tag("dt", k), tag("dd", v)) for k, v in values.items()), class_=class_)


STYLE = Html("""
:root { color-scheme: light; --ink: #1b1f24; --quiet: #5c6570; --line: #d9dee4; --accent: #1f6fb2; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: #fff; color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.1rem; margin: 2.4rem 0 .6rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 48rem; }
.quiet, figcaption { color: var(--quiet); font-size: .87rem; }
.facts { display: flex; flex-wrap: wrap; gap: .3rem 1.8rem; margin: .8rem 0 0; }
.facts div { display: flex; gap: .45rem; } .facts dt { color: var(--quiet); } .facts dd { margin: 0; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0; }
th, td { padding: .3rem 1.1rem .3rem 0; text-align: left; vertical-align: top; }
thead th { color: var(--quiet); font-size: .87rem; font-weight: 500; border-bottom: 1px solid var(--line); }
tbody th { font-weight: 600; } tbody tr + tr > * { border-top: 1px solid #eef1f4; }
.scores td.number, .scores tbody th { white-space: nowrap; }
.bar { display: inline-block; height: .7rem; background: var(--accent); border-radius: 2px; }
figure { margin: .6rem 0; } img { max-width: 100%; }
.chart { display: block; width: 100%; } .grid { width: min(100%, 34rem); image-rendering: pixelated; }
.strip { display: grid; grid-template-columns: repeat(6, 1fr); gap: .7rem; }
.strip figure { margin: 0; } .strip img { width: 100%; display: block; }
.settings { columns: 3 15rem; column-gap: 2rem; margin: 0; font-size: .87rem; }
.settings div { display: flex; justify-content: space-between; gap: .8rem; break-inside: avoid;
  border-bottom: 1px solid #eef1f4; padding: .12rem 0; }
.settings dt { color: var(--quiet); } .settings dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
pre { background: #f5f7f9; padding: .7rem .9rem; border-radius: 4px; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .87rem; }
.warning { border-left: 3px solid #c4572b; padding-left: .7rem; }
@media print { body { padding: 0; } h2, figure { break-inside: avoid; break-after: avoid; } }
""")


def document(title: str, body: Sequence[Html]) -> Html:
    """A whole, self-contained page."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{tag("title", title)}'
    return Html(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}<style>{STYLE}</style></head>\n<body>\n'
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
