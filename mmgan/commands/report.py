"""mmgan report RUN...: rewrite each run's report.html, and compare several runs in one table."""

from collections.abc import Sequence
from pathlib import Path

from mmgan.commands.arguments import Parser
from mmgan.process.program import program
from mmgan.runs.folder import RunFolder

DESCRIPTION = (
    "Rewrite report.html in each run folder. Pictures that need the generator are made where the end of training left"
    " none; the code of a generator of your own is not run. With several runs, also print one line a run with its last"
    " scores, and mean ± sd where runs share everything but the seed and were scored alike."
)


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="mmgan report", description=DESCRIPTION)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, as in runs/digits-1+2+pixel-seed0")
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command."""
    folders = [RunFolder(run) for run in dict.fromkeys(map(Path, parser().parse_args(argv).runs))]
    from mmgan.gan.shown_run import shown_of  # here, so that --help does not wait for torch
    from mmgan.report import compare, write_report

    for folder in folders:
        folder.read_config()  # all are runs, before anything is written
    for folder in folders:
        print(write_report(folder, shown_of(folder)))
    if len(folders) > 1:
        print(f"\n{compare(folders)}")
