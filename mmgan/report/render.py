"""A page as HTML."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mmgan.report.content import Page

TEMPLATES = Path(__file__).with_name("templates")


def render(page: Page) -> str:
    """The page as one self-contained file: it embeds its pictures and style, has no script and loads nothing.

    Every text of the page is escaped by the templates; a policy in its head forbids scripts besides.
    """
    return _environment().get_template("page.html.jinja").render(page=page)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
