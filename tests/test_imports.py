"""One way for the data: a file imports only from what stands before it in the line of docs and design.

Every import counts, wherever it stands: inside functions, in `if TYPE_CHECKING`, and relative ones. A type from further
down the line ties two parts together just as a call does.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmgan

ROOT = Path(__file__).parents[1]

LINE = [
    "errors faults draws memory storage digests modes nests outputs losses relativistic tf32 transfer",
    "config",
    "data",
    "networks",
    "generators",
    "discriminators classifiers",
    "mixing",
    "regularizers",
    "training",
    "scoring",
    "analysis",
    "process",
    "runs",
    "report",
    "supervised",
    "gan",
    "sweeps",
    "experiments",
    "commands",
    "python",
    "train_classifier train_gan",
    "__main__ completion __init__",
]
"""The parts of mmgan/ in their order. Parts on one line may import one another (Python itself refuses a circle)."""

PLACE = {part: place for place, parts in enumerate(LINE) for part in parts.split()}

CALLS = {"train_gan", "load_generator", "score"}
"""What the bare package re-exports of other parts than mixing."""

NETWORKS = "networks generators discriminators classifiers"
KNOW_NOTHING_OF = [
    ("mixing", f"{NETWORKS} config data"),
    ("scoring analysis", "training"),
]
"""(parts, what they must not import), even where the places in the line would allow it."""


def files() -> list[tuple[str, Path]]:
    """(part, file) for every Python file; the networks' folders are looked up where they really stand."""
    folders = [ROOT / "mmgan", ROOT / "discriminators", ROOT / "classifiers"]
    found = {path.resolve() for folder in folders for path in folder.rglob("*.py")}
    return sorted((part_of(path), path) for path in found)


def part_of(path: Path) -> str:
    """mmgan/data/load.py -> data; mmgan/mixing/plan.py -> mixing; discriminators/blocks.py -> discriminators."""
    inside = path.relative_to(ROOT.resolve())
    parts = inside.parts[1:] if inside.parts[0] == "mmgan" else inside.parts
    return parts[0].removesuffix(".py")


def imported_parts(source: str, package: str) -> Iterator[tuple[int, str]]:
    """(line, part) for each import of something of mmgan. What the bare package re-exports is mixing's."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            assert parts[0] not in ("discriminators", "classifiers", "configs"), f"import mmgan.{name}, not {name}"
            if parts[0] == "mmgan":
                part = parts[1] if len(parts) > 1 else "__init__"
                if part != "__version__":
                    yield node.lineno, "mixing" if part in set(mmgan.__all__) - CALLS else part


def package_of(path: Path) -> str:
    inside = path.relative_to(ROOT.resolve()).parent.parts
    return ".".join(inside if inside[0] == "mmgan" else ("mmgan", *inside))


FILES = [pytest.param(part, path, id=str(path.relative_to(ROOT.resolve()))) for part, path in files()]


def test_every_file_has_a_place() -> None:
    homeless = sorted({part for part, _ in files()} - set(PLACE))
    assert not homeless, (
        f"{homeless} have no place in the line of the data: put each into LINE in tests/test_imports.py, after all that"
        " it needs and before all that needs it; what joins the parts stands on the last line"
    )


def test_the_files_are_found() -> None:
    assert {"mixing", "losses", "data", "discriminators", "classifiers"} <= {part for part, _ in files()}


@pytest.mark.parametrize(("part", "path"), FILES)
def test_imports_follow_the_line(part: str, path: Path) -> None:
    last = len(LINE) - 1
    for line, other in imported_parts(path.read_text(), package_of(path)):
        where = f"{path.name}:{line}: {part} imports {other}"
        assert PLACE.get(other, last) <= PLACE.get(part, last), f"{where}, which comes after it in the line"
        for parts, unknown in KNOW_NOTHING_OF:
            assert part not in parts.split() or other not in unknown.split(), f"{where}, of which it knows nothing"


def test_every_form_of_import_is_read() -> None:
    source = """
from mmgan.training.guard import step
import mmgan.scoring
from mmgan import Mixed
from mmgan import runs
def f():
    from ..report import page
if TYPE_CHECKING:
    from mmgan.losses import GANLoss
import torch.nn
"""
    found = [part for _, part in imported_parts(source, "mmgan.data")]
    assert sorted(found) == sorted(["training", "scoring", "mixing", "runs", "report", "losses"])
    with pytest.raises(AssertionError, match=r"import mmgan\.discriminators"):
        list(imported_parts("from discriminators import build_discriminator", "mmgan"))


HEAVY = {"torch_fidelity", "sklearn", "matplotlib", "torchvision", "pandas"}
"""Packages that take up to three seconds to import: functions import them, so that a run without scores starts soon."""

DRAW = ("mmgan/analysis/plots.py", "mmgan/sweeps/figure.py", "mmgan/experiments/")
"""Files with nothing in them but drawings, and those that only `mmgan reproduce` imports."""


@pytest.mark.parametrize(("part", "path"), FILES)
def test_heavy_packages_are_imported_where_they_are_used(part: str, path: Path) -> None:
    if str(path.relative_to(ROOT.resolve())).startswith(DRAW):
        return
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
            assert module.split(".")[0] not in HEAVY, f"{path.name}:{node.lineno}: import {module} inside a function"


WHOLE_SETTINGS = {"GanConfig", "ClassifierConfig"}
TAKE_THEM = (
    "mmgan/config/",
    *(f"mmgan/{wing}/{file}.py" for wing in ("gan", "supervised") for file in ("run", "build")),
)


@pytest.mark.parametrize(("part", "path"), FILES)
def test_only_a_run_and_its_building_take_the_whole_settings(part: str, path: Path) -> None:
    """Everything else gets the group of settings that it needs."""
    if str(path.relative_to(ROOT.resolve())).startswith(TAKE_THEM):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            of = node.args
            for argument in (*of.posonlyargs, *of.args, *of.kwonlyargs):
                named = {name.id for name in ast.walk(argument) if isinstance(name, ast.Name)}
                assert not named & WHOLE_SETTINGS, f"{path.name}:{node.lineno}: {node.name}({argument.arg})"
