"""A program, and after it the names of this process's threads."""

import gc
from pathlib import Path

from tests.support.forks import run_program


def main(argv: list[str]) -> int:
    gc.disable()  # by itself it may or may not come before the end
    code = run_program(argv[0], argv[1:])
    names = sorted((path / "comm").read_text().strip() for path in Path("/proc/self/task").iterdir())
    print(f"threads left: {', '.join(names)}")
    return code
