"""`mmgan reproduce NAME`: the paper's tables and figures, each at one command."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmgan.commands.arguments import Parser
from mmgan.config.fields import check_range
from mmgan.errors import UserError, did_you_mean
from mmgan.experiments.catalogue import EXPERIMENTS, STUDY
from mmgan.process.program import program

DESCRIPTION = """\
Run experiments of the paper, draw them, and put the paper's numbers next to ours. Each leaves results.json and its
figures in OUT/NAME; OUT/comparison.md has a table of all. Runs that were trained before are found and not trained
again, so an experiment that was stopped continues.
"""


def parser() -> Parser:
    """The command's parser."""
    width = max(map(len, EXPERIMENTS))
    listed = "\n".join(
        f"  {name:{width}}  {e.reproduces}; at cpu scale: {e.at_cpu_scale}" for name, e in EXPERIMENTS.items()
    )
    parser = Parser(
        prog="mmgan reproduce",
        description=DESCRIPTION,
        epilog=f"experiments:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="an experiment, or several; all: every one of them")
    parser.add_argument(
        "--scale", choices=["cpu", "paper"], default="cpu", help="two cores, or the paper's own setting (default: cpu)"
    )
    parser.add_argument("--quick", action="store_true", help="30 seconds at most, to see it run; numbers mean nothing")
    parser.add_argument("--out", default="results", help="folder of the results (default: results)")
    parser.add_argument("--runs", default="runs/reproduce", help="folder of the trained runs (default: runs/reproduce)")
    parser.add_argument(
        "--data-root",
        default=os.environ.get("MMGAN_DATA") or "data",
        help="folder that holds the data sets ($MMGAN_DATA where set, else data)",
    )
    parser.add_argument(
        "--jobs", type=int, help="training runs at a time (default: one a core at cpu scale, 1 at paper scale)"
    )
    parser.add_argument(
        "--minutes", type=float, help=f"{STUDY}: begin no further run after these, and report what is there; 0: report"
    )
    parser.add_argument(
        "--extractor-weights",
        metavar="FILE",
        help=f"{STUDY}: weights of its extractor; unset: the cache of its library",
    )
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parser().parse_args(argv)
    unknown = [name for name in arguments.names if name not in (*EXPERIMENTS, "all")]
    if unknown:
        hint = did_you_mean(unknown[0], [*EXPERIMENTS, "all"])
        raise UserError(f"there is no experiment '{unknown[0]}': {hint}")
    check_range(arguments, "jobs", least=1)
    check_range(arguments, "minutes", least=0)
    for flag, value in {"--minutes": arguments.minutes, "--extractor-weights": arguments.extractor_weights}.items():
        if value is not None and arguments.names != [STUDY]:
            raise UserError(f"{flag} is for {STUDY} alone: leave it out, or name no other experiment")

    from mmgan.experiments.framework.documents import (  # here, so that --help does not wait for torch
        markdown,
        write_comparison,
    )
    from mmgan.experiments.framework.outcome import Place
    from mmgan.experiments.framework.results import run_experiment
    from mmgan.sweeps.local import cores

    def say(line: str) -> None:
        print(line, flush=True)

    out = Path(arguments.out)
    names = list(EXPERIMENTS) if "all" in arguments.names else list(dict.fromkeys(arguments.names))
    for name in names:
        kind = "-quick" if arguments.quick else "-paper" if arguments.scale == "paper" else ""
        place = Place(
            scale=arguments.scale,
            quick=arguments.quick,
            folder=out / f"{name}{kind}",
            runs=Path(arguments.runs) / f"{arguments.scale}{'-quick' if arguments.quick else ''}",
            data_root=arguments.data_root,
            jobs=arguments.jobs or (cores() if arguments.scale == "cpu" else 1),
            say=say,
            minutes=arguments.minutes,
            extractor_weights=arguments.extractor_weights,
        )
        say(f"{name}: {EXPERIMENTS[name].reproduces}")
        place.folder.mkdir(parents=True, exist_ok=True)
        command = ["mmgan", "reproduce", name, *(["--scale", "paper"] if arguments.scale == "paper" else [])]
        result = run_experiment(name, EXPERIMENTS[name].run, place, command + ["--quick"] * arguments.quick)
        say(markdown(result))
        for figure in result.figures:
            say(str(place.folder / figure))
        say(f"{place.folder / 'results.json'}\n{write_comparison(out)}\n")
