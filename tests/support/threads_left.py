"""A program, and after it the names of this process's threads."""

from pathlib import Path

from tests.support.forks import run_program


def main(argv: list[str]) -> int:
    code = run_program(argv[0], argv[1:])
    names = sorted((path / "comm").read_text().strip() for path in Path("/proc/self/task").iterdir())
    print(f"threads left: {', '.join(names)}")
    return code
