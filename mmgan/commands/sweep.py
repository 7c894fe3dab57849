"""`mmgan sweep FILE.yaml`: a grid of runs over settings and seeds, and the scores by arm."""

from collections.abc import Sequence
from typing import Any

from mmgan.commands.arguments import Parser
from mmgan.config.fields import check_range
from mmgan.errors import TrainingFailed, UserError
from mmgan.process.program import program

DESCRIPTION = (
    "Train every arm of the file with every seed. The same command continues a sweep that was stopped: finished runs"
    " are kept, unfinished ones resume from their checkpoint. A failed run does not stop the others. At the end,"
    " summary.csv, summary.md and summary.png hold means, deviations and paired differences from the baseline, and"
    " report.html shows them with samples of each arm."
)


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="mmgan sweep", description=DESCRIPTION)
    parser.add_argument("file", metavar="FILE.yaml", help="the sweep, as in configs/sweep/digits-gan.yaml")
    parser.add_argument("--jobs", type=int, help="runs at a time (default: 1, or as many as --gpus names)")
    parser.add_argument("--gpus", metavar="0,1,...", help="give each job a GPU of its own, in turn")
    parser.add_argument(
        "--cluster", choices=["slurm", "local"], help="hand the runs to SLURM through submitit; local: try it here"
    )
    parser.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="submitit's parameters for SLURM, as in partition=gpu timeout_min=600 gpus_per_node=1 cpus_per_task=8",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the runs and the state of each, and stop")
    return parser


@program
def main(argv: Sequence[str]) -> None:
    """Run the command. Exit code 1 if runs failed, 130 or 143 if a signal stopped it; else as for all programs."""
    arguments = parser().parse_args(argv)

    from mmgan.sweeps.local import LocalRuns
    from mmgan.sweeps.page import write_page
    from mmgan.sweeps.read import read_sweep
    from mmgan.sweeps.running import Machines, plan_sweep, run_sweep
    from mmgan.sweeps.summary import summarize
    from mmgan.sweeps.table import markdown, write_summary

    gpus = tuple(arguments.gpus.split(",")) if arguments.gpus else ()
    jobs = (len(gpus) or 1) if arguments.jobs is None else arguments.jobs
    check_range(arguments, "jobs", least=1)
    if arguments.slurm and arguments.cluster != "slurm":
        raise UserError("--slurm needs --cluster slurm")
    if gpus and arguments.cluster:
        raise UserError("--gpus is for runs on this machine: on a cluster say --slurm gpus_per_node=1")
    sweep = read_sweep(arguments.file)
    if arguments.dry_run:
        for run, state in plan_sweep(sweep):
            print(f"{state:10} {run.name}  ({run.folder.path})")
        return
    if arguments.cluster:
        from mmgan.sweeps.cluster import ClusterRuns

        machines: Machines = ClusterRuns(
            arguments.cluster, jobs, sweep.folder / "submitit", _parameters(arguments.slurm)
        )
    else:
        machines = LocalRuns(jobs, gpus)
    result = run_sweep(sweep, jobs=jobs, machines=machines)
    summary = summarize(result)
    print(markdown(summary))
    for path in [*write_summary(summary, sweep.folder), write_page(result, summary)]:
        print(path)
    if result.failed:
        names = "; ".join(ended.run.name for ended in result.failed)
        raise TrainingFailed(
            f"{len(result.failed)} of {len(result.runs)} runs failed ({names}): the same command tries them again"
        )


def _parameters(words: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE words, the values as YAML reads them."""
    import yaml

    parameters = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise UserError(f"--slurm {word} is not valid: write KEY=VALUE, as in partition=gpu")
        try:
            parameters[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            parameters[key] = value
    return parameters
