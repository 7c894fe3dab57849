"""`mmgan completion SHELL`: a script by which a shell completes commands, flags and their choices."""

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from mmgan.commands.arguments import Parser
from mmgan.errors import UserError
from mmgan.process.program import program


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="mmgan completion",
        description="Print a script that completes mmgan's commands, flags and their choices. For bash: mmgan"
        " completion bash > ~/.local/share/bash-completion/completions/mmgan. For zsh: mmgan completion zsh >"
        " FOLDER/_mmgan, with FOLDER in $fpath. Needs pip install 'mmgan[completion]'.",
    )
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="the shell that reads the script")
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    try:
        from shtab import FILE, complete
    except ImportError:
        raise UserError("shell completion needs shtab: pip install 'mmgan[completion]'") from None
    print(complete(whole(FILE), arguments.shell))


def whole(file: Any) -> argparse.ArgumentParser:
    """One parser of all commands, each as a subcommand.

    Args:
        file: what shtab reads on an action whose values may be files.
    """
    from mmgan.__main__ import COMMANDS

    parser = argparse.ArgumentParser(prog="mmgan")
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        own: argparse.ArgumentParser = import_module(command.module).parser()
        commands.add_parser(name, help=command.text, parents=[own], add_help=False)
        for action in own._actions:
            if action.choices is None:
                action.choices = choices_of(getattr(action, "_typehint", None))
            if action.choices is None and action.nargs != 0:
                action.complete = file  # type: ignore[attr-defined]
    return parser


def choices_of(hint: Any) -> list[str] | None:
    """The words that a setting's type lists: Literal["a", "b"], or a union with one; None where it lists none."""
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    return next((found for part in get_args(hint) if (found := choices_of(part))), None)
