"""Runs as jobs of a cluster, submitted with submitit (github.com/facebookincubator/submitit)."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from mmgan.errors import UserError
from mmgan.sweeps.definition import Run
from mmgan.sweeps.local import command, cores, environment, start_process

Cluster = Literal["slurm", "local"]
WEEK = 7 * 24 * 60
"""Time limit in minutes for jobs of the local executor, which needs one."""


class ClusterRuns:
    """Submits runs to SLURM as one array, or to submitit's local executor, which tests the same path.

    Args:
        cluster: "slurm" or "local".
        jobs: runs at a time: the array's parallelism.
        folder: where submitit keeps its files.
        parameters: submitit's for SLURM, without their prefix: partition, timeout_min, gpus_per_node, cpus_per_task ...

    Raises:
        UserError: if submitit is not installed, there is no such cluster here, or it does not know a parameter.
    """

    def __init__(self, cluster: Cluster, jobs: int, folder: Path, parameters: Mapping[str, Any]) -> None:
        try:
            import submitit
        except ImportError:
            raise UserError(f"--cluster {cluster} needs submitit: pip install 'mmgan[cluster]'") from None
        try:
            self._executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
            if cluster == "slurm":
                prefixed = {f"slurm_{name}": value for name, value in parameters.items()}
                self._executor.update_parameters(slurm_array_parallelism=jobs, **prefixed)
            else:
                self._executor.update_parameters(timeout_min=WEEK)
        except (NameError, AssertionError, RuntimeError, ValueError, TypeError) as error:
            raise UserError(f"--cluster {cluster}: {str(error).splitlines()[0]}") from None
        self._is_local = cluster == "local"
        self._threads = max(1, cores() // jobs)
        self.at_a_time = jobs if self._is_local else 10**6  # SLURM itself counts

    def start(self, runs: Sequence[tuple[Run, bool]]) -> "list[ClusterRun]":
        """Submit these (run, whether to resume)."""
        batch: AbstractContextManager[Any] = nullcontext() if self._is_local else self._executor.batch()  # an array
        with batch:
            jobs = [
                self._executor.submit(Job(tuple(command(run, resume=resume)), run.log, resume, self._threads))
                for run, resume in runs
            ]
        return [ClusterRun(job, run, self._is_local) for job, (run, _) in zip(jobs, runs, strict=True)]


@dataclass(frozen=True)
class Job:
    """A job: the run's command, with the same log file as a local run."""

    words: tuple[str, ...]
    log: Path  # appended to with `resume`, else written from the start
    resume: bool  # whether the run continues from its checkpoint
    threads: int  # OMP_NUM_THREADS unless the user or SLURM sets it

    def __call__(self) -> int:
        """Run the command and return its exit code. SIGTERM is passed on, also submitit's when time is up."""
        variables = environment(int(os.environ.get("SLURM_CPUS_PER_TASK", self.threads)))
        process = start_process(self.words, self.log, self.resume, variables)

        def pass_on(number: int, frame: FrameType | None) -> None:
            process.send_signal(signal.SIGTERM)

        signal.signal(signal.SIGTERM, pass_on)
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


class ClusterRun:
    """A submitted run."""

    def __init__(self, job: Any, run: Run, is_local: bool) -> None:
        self._job = job
        self._run = run
        self._is_local = is_local
        self._asked = False

    def poll(self) -> int | None:
        """Its exit code, or None while it waits or runs. Errors outside the run itself are added to its log."""
        if not self._job.done():
            if self._asked and self._is_local:
                self.stop()  # again: a job that has only begun ignores the first one
            return None
        error = self._job.exception()
        if error is None:
            return int(self._job.result())
        lines = [line for line in str(error).splitlines() if line.strip(" -\t")]
        self._run.log.parent.mkdir(parents=True, exist_ok=True)
        with self._run.log.open("a") as log:
            log.write(f"\nerror: job {self._job.job_id}: {' '.join(lines[-1:]) or type(error).__name__}\n")
        return 1

    def stop(self) -> None:
        """Ask it to save a checkpoint and end."""
        self._asked = True
        if self._is_local:  # its own way to cancel leaves a second; its job's name is the process's number
            os.kill(int(self._job.job_id), signal.SIGTERM)
        else:
            self._job.cancel()
