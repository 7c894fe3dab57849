"""The tutorial's page: its notebook, kept as text by jupytext, with what each cell prints and draws."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any


def tutorial_page(source: Path) -> dict[str, str | bytes]:
    """The page and its pictures, and the notebook to download: a place in the site -> its content."""
    import jupytext

    notebook = jupytext.read(source)
    files: dict[str, str | bytes] = {"tutorial.ipynb": jupytext.writes(notebook, fmt="ipynb")}
    parts, scope = [], {"__name__": "__main__"}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        printed, pictures = execute(cell.source, scope)
        if printed:
            parts.append(f'<div class="result" markdown>\n\n```text\n{printed.rstrip()}\n```\n\n</div>')
        for picture in pictures:
            name = f"tutorial-{len(files)}.png"
            files[name] = picture
            parts.append(f"![Output of the cell above]({name})")
    files["tutorial.md"] = "\n\n".join(parts) + "\n\n[This page as a notebook](tutorial.ipynb)\n"
    return files


def execute(code: str, scope: dict[str, Any]) -> tuple[str, list[bytes]]:
    """What a cell prints, and the figures that it draws, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    run: Callable[..., None] = exec
    with contextlib.redirect_stdout(io.StringIO()) as out:
        run(compile(code, "tutorial.py", "exec"), scope)
    pictures = []
    for number in pyplot.get_fignums():
        buffer = io.BytesIO()
        pyplot.figure(number).savefig(buffer, dpi=110)
        pictures.append(buffer.getvalue())
    pyplot.close("all")
    return out.getvalue(), pictures
