"""Reference pages of all commands' flags, from the parsers that the programs use."""

import argparse
from importlib import import_module

from mmgan.__main__ import COMMANDS

OWN_PAGE = ("train-gan", "train-classifier")


def flag_pages() -> dict[str, str]:
    """A page's place in the site -> its Markdown."""
    pages = {f"reference/{name}.md": f"# `mmgan {name}`\n\n{_command(name)}" for name in OWN_PAGE}
    others = [f"## `mmgan {name}`\n\n{_command(name)}" for name in COMMANDS if name not in OWN_PAGE]
    pages["reference/commands.md"] = "# Commands\n\nMade from the programs' own parsers.\n\n" + "\n".join(others)
    return pages


def _command(name: str) -> str:
    parser: argparse.ArgumentParser = import_module(COMMANDS[name].module).parser()
    parts = [_cell(parser.description or COMMANDS[name].text), ""]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help is not argparse.SUPPRESS]
        if not actions:
            continue
        if name in OWN_PAGE:
            parts += [f"## {(group.title or 'Flags').strip().capitalize()}", ""]
        parts += ["| flag | meaning | values | default |", "| --- | --- | --- | --- |"]
        parts += [f"| {' | '.join(map(_cell, _row(action, parser)))} |" for action in actions]
        parts.append("")
    return "\n".join(parts)


def _row(action: argparse.Action, parser: argparse.ArgumentParser) -> tuple[str, str, str, str]:
    flags = ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{action.metavar or action.dest}`"
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    values = _values(action)
    default = "" if action.default in (None, argparse.SUPPRESS) or action.nargs == 0 else f"`{action.default}`"
    return flags, text, values, default


def _values(action: argparse.Action) -> str:
    from mmgan.completion import choices_of

    hint = getattr(action, "_typehint", None)
    choices = action.choices or choices_of(hint)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = hint or action.type
    names = {int: "whole number", float: "number", bool: "", str: "text", None: ""}
    if kind in names:
        return names[kind]
    text = getattr(kind, "__name__", None) or str(kind)
    for long, short in {"int": "whole number", "float": "number", "str": "text", "None": "unset"}.items():
        text = text.replace(long, short)
    return {"Names": "names with commas between", "Levels": "number or fraction", "JsonObject": "JSON object"}.get(
        text, text.replace("|", "or")
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
