"""The `mmgan` command: `mmgan COMMAND --help` says what each takes."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import NamedTuple

from mmgan.errors import did_you_mean
from mmgan.process.program import program, put_working_folder_first


class Command(NamedTuple):
    module: str  # has main(argv) -> exit code; imported only when the command is called
    text: str


COMMANDS = {
    "train-gan": Command("mmgan.train_gan", "train a GAN whose discriminator is regularised by Manifold Mixup"),
    "train-classifier": Command(
        "mmgan.train_classifier", "train a classifier with Manifold Mixup or another regulariser"
    ),
    "score": Command("mmgan.commands.score", "scores of a run, or of any images against any others"),
    "scores": Command("mmgan.commands.scores", "compare scores, where they may be compared"),
    "inspect": Command(
        "mmgan.commands.inspect", "the modules of a network at which rows can be mixed, and why not others"
    ),
    "diagnose": Command("mmgan.commands.diagnose", "what training did to a run's discriminator, overfitting among it"),
    "sample": Command("mmgan.commands.sample", "images from a run's generator, as PNG files or a grid"),
    "export": Command("mmgan.commands.export", "a run's generator in a folder of its own, with a model card"),
    "evaluate": Command("mmgan.commands.evaluate", "every measure of the paper on a trained classifier"),
    "reproduce": Command("mmgan.commands.reproduce", "the paper's tables and figures, each at one command"),
    "sweep": Command("mmgan.commands.sweep", "runs over settings and seeds; means and paired differences by arm"),
    "report": Command("mmgan.commands.report", "write a run's report.html; compare several runs in a table"),
    "completion": Command("mmgan.completion", "a script by which bash or zsh completes commands and flags"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; 2 for a command that does not exist."""
    if argv is None:
        put_working_folder_first()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        return program(lambda _: print(_help()))(words)
    if words[0] == "--version":
        print(f"mmgan {version('mmgan')}")
        return 0
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], list(COMMANDS), otherwise=f"the commands are {', '.join(COMMANDS)}")
        print(f"error: there is no command '{words[0]}': {hint}", file=sys.stderr)
        return 2
    code: int = import_module(COMMANDS[words[0]].module).main(words[1:])
    return code


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.text}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mmgan COMMAND ...",
            "",
            "Manifold Mixup (arXiv 1806.05236) for GAN discriminators and for classifiers.",
            "",
            *lines,
            "",
            "`mmgan COMMAND --help` says what each takes. Start with `mmgan train-gan --mix 1,2,pixel`,",
            "or on several processes `accelerate launch -m mmgan train-gan --mix 1,2,pixel`.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
