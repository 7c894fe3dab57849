"""A model of a run folder under random faults, for hypothesis: start, train, score, kill at any write, damage any file,
resume with and without changes, overwrite, a second process.

The folder, lock, session, checkpoints, metrics and scores are the program's own. Only two numbers are trained, so
a run takes milliseconds. Each run is a fork of this process. A kill is SIGKILL before the n-th write.

python -m tests.faults.folder_machine [--sequences 2000] [--seed 0]
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import torch
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from torch import Tensor, nn

from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat
from mmgan.config.shared import DeviceSettings, RunSettings
from mmgan.errors import StorageFailed, UserError
from mmgan.gan.run import Judge
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, read_facts
from mmgan.runs.lock import RunLock
from mmgan.runs.session import Session
from mmgan.scoring import state_digest
from mmgan.training.metrics import Metrics
from mmgan.training.tasks import Task
from tests.support.report_runs import manifest

STEPS = 6
CONFIG = flat(GanConfig())
MINE = {"notes.txt": "mine", "checkpoints/mine.txt": "mine", "samples/mine.png": "mine"}
COUNTS: Counter[str] = Counter()


class Never:
    """No signals."""

    def share(self, *_: object) -> None: ...

    def check(self) -> None: ...


class Parts:
    """Two numbers and a moment; a step is a function of the seed, the setting lr and the step."""

    def __init__(self, lr: float) -> None:
        torch.manual_seed(0)
        self.generator, self.average, self.latent_dim, self.step, self.lr = nn.Linear(1, 1), None, 1, 0, lr
        self.opt = torch.optim.SGD(self.generator.parameters(), lr=lr, momentum=0.9, fused=True)

    def networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"optimizer-g": self.opt}

    def advance(self) -> Tensor:
        loss: Tensor = (self.generator(torch.ones(1, 1)) - self.step).square().sum()
        loss.backward()
        self.opt.step()
        self.opt.zero_grad()
        self.step += 1
        return loss.detach()


class Scorer:
    """The distance is a function of the weights and of the judge."""

    def __init__(self, judge: str) -> None:
        self.judge = judge

    def entry(self, generator: nn.Module, step: int) -> dict[str, Any]:
        digest = state_digest(generator)
        distance = int(digest[:4], 16) / 100
        extractor = {"name": "test", "digest": self.judge, "dims": 1}
        entry = manifest(distance, step=step) | {"extractor": extractor, "weights": digest}
        del entry["scores"]["inception_score_mean"], entry["scores"]["inception_score_std"]
        return entry


def train(out: Path, *, resume: bool, overwrite: bool, allow: bool, lr: float, judge: str, every: int) -> None:
    """What the GAN program does, with these parts."""
    settings = RunSettings(out=str(out), resume=resume, overwrite=overwrite, allow_changed=allow, checkpoint_every=2)
    values = CONFIG | {"out": str(out), "lr": lr, "steps": STEPS, "score_every": every}
    session = Session(settings, DeviceSettings(), values, out, Never())  # type: ignore[arg-type]
    parts: Any = Parts(lr)
    with session.lock:
        session.stops_here()
        session.begin(
            parts,
            total_steps=STEPS,
            data_digest="ab",
            shape={},
            lines=[],
            judge={"extractor_digest": judge},
        )
        judging = Judge(parts, Scorer(judge), session)  # type: ignore[arg-type]
        scoring = Task(judging.score, every)
        with session:
            if resume:
                judging.catch_up(scoring)
            metrics = Metrics(session.context(session.checkpoints(), scoring), [])
            while parts.step < STEPS:
                loss = parts.advance()
                metrics.add({"step": parts.step, "images": parts.step}, {"loss": loss})
                metrics.finish_step(parts.step, STEPS)


def in_a_fork(action: Callable[[], None], out: Path, kill_at: int | None) -> int:
    """Run it in a fork that may be killed before its n-th write below `out`; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        count = 0

        def hook(event: str, args: tuple[Any, ...]) -> None:
            nonlocal count
            writes = event == "open" and isinstance(args[1], str) and args[1][0] in "wax"
            if (writes or event in ("os.rename", "os.mkdir", "os.rmdir", "os.remove")) and str(out) in str(args[0]):
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1

        sys.addaudithook(hook)
        action()
        code = 0
    except UserError:
        code = 2
    except StorageFailed:
        code = 3
    except BaseException:
        os.dup2(os.open(TRACE, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        code = 4
    finally:
        os._exit(code)


TRACE = Path(tempfile.gettempdir()) / f"mmgan-folder-machine-{os.getpid()}"


class FolderMachine(RuleBasedStateMachine):
    """What must hold after every run, kill and damage."""

    def __init__(self) -> None:
        super().__init__()
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()
        Accelerator(cpu=True)
        self.place = Path(tempfile.mkdtemp())
        self.out = self.place / "run"
        self.damaged: set[str] = set()
        self.last = 0
        COUNTS["sequences"] += 1
        if COUNTS["sequences"] % 100 == 0:
            print(dict(COUNTS), file=sys.stderr, flush=True)

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    def run(self, kill_at: int | None, **how: Any) -> int:
        settings = {"resume": False, "overwrite": False, "allow": False, "lr": 0.1, "judge": "ab" * 32, "every": 2}
        settings |= how
        COUNTS["runs"] += 1
        code = in_a_fork(lambda: train(self.out, **settings), self.out, kill_at)
        COUNTS[f"code {code}"] += 1
        said = TRACE.read_text() if code == 4 else ""
        assert code in (0, 2, -9), f"exit code {code}\n{said}"
        assert code != -9 or kill_at is not None
        if code == 0:
            if settings["overwrite"]:
                self.damaged.clear()  # a resumed run leaves older checkpoints as they are
            self.check_whole()
        self.last = code
        return code

    @initialize()
    def begin(self) -> None:
        assert self.run(None) == 0
        for name, text in MINE.items():
            (self.out / name).write_text(text)

    @rule(at=st.integers(0, 70) | st.none())
    def start(self, at: int | None) -> None:
        """Without a flag: refused, as the folder holds a run."""
        assert self.run(at) == 2

    @rule(at=st.integers(0, 90) | st.none())
    def overwrite(self, at: int | None) -> None:
        code = self.run(at, overwrite=True)
        assert code in (0, -9) or "config.yaml" in self.damaged

    @rule(at=st.integers(0, 90) | st.none())
    def resume(self, at: int | None) -> None:
        self.run(at, resume=True)

    @rule(
        at=st.integers(0, 90) | st.none(),
        lr=st.sampled_from([0.1, 0.2, 0.3]),
        judge=st.sampled_from(["ab" * 32, "cd" * 32]),
        every=st.sampled_from([1, 2, 3]),
        allow=st.booleans(),
    )
    def resume_with_changes(self, at: int | None, lr: float, judge: str, every: int, allow: bool) -> None:
        self.run(at, resume=True, lr=lr, judge=judge, every=every, allow=allow)

    @rule(count=st.integers(1, 2))
    def lose_checkpoints(self, count: int) -> None:
        """So that the run goes on from an earlier step."""
        for path in sorted((self.out / "checkpoints").glob("step-*"))[-count:]:
            shutil.rmtree(path)

    @rule(which=st.integers(0, 200), how=st.sampled_from(["flip", "truncate", "remove", "junk"]), at=st.floats(0, 0.99))
    def damage(self, which: int, how: str, at: float) -> None:
        files = [path for path in sorted(self.out.rglob("*")) if path.is_file() and path.name not in ("notes.txt",)]
        files = [path for path in files if "mine" not in path.name and path.name != "run.lock"]
        if not files:
            return
        path = files[which % len(files)]
        content = path.read_bytes()
        if how == "flip" and content:
            place = int(at * len(content))
            content = content[:place] + bytes([content[place] ^ (1 << which % 8)]) + content[place + 1 :]
            path.write_bytes(content)
        elif how == "truncate":
            path.write_bytes(content[: int(at * len(content))])
        elif how == "remove":
            path.unlink()
        else:
            path.write_bytes(b"\x00[{junk")
        self.damaged.add(path.name)
        COUNTS["damages"] += 1

    @rule(mode=st.sampled_from([{}, {"overwrite": True}, {"resume": True}]))
    @precondition(lambda self: self.out.is_dir())
    def second_process(self, mode: dict[str, bool]) -> None:
        """While another one holds the lock, everything is refused, and nothing is touched."""
        before = {path: path.read_bytes() for path in self.out.rglob("*") if path.is_file() and path.name != "run.lock"}
        with RunLock(self.out) as lock:
            lock.take()
            assert self.run(None, **mode) == 2
            after = {p: p.read_bytes() for p in self.out.rglob("*") if p.is_file() and p.name != "run.lock"}
        assert after == before

    @invariant()
    def nothing_of_the_users_is_lost(self) -> None:
        for name, text in MINE.items() if self.last else ():
            assert (self.out / name).read_text() == text

    @invariant()
    def what_bears_a_checkpoints_name_is_whole(self) -> None:
        """Unless it was damaged from outside."""
        if not self.damaged:
            for path in (self.out / "checkpoints").glob("*"):
                if path.is_dir() and path.name[0] != ".":
                    assert find_fault(path) is None, path

    @invariant()
    def metrics_have_each_step_once(self) -> None:
        if "metrics.jsonl" not in self.damaged and (self.out / "metrics.jsonl").exists():
            steps = [row["step"] for row in RunFolder(self.out).read_metrics()]
            assert steps == list(range(steps[0], steps[0] + len(steps))) if steps else True

    def check_whole(self) -> None:
        """After a run that ended: scores belong to their weights, and nothing unfinished is left."""
        folder = RunFolder(self.out)
        assert not (self.out / "run.lock").exists()
        assert not [path for path in self.out.rglob("*") if path.suffix in (".part", ".old")]
        newest = folder.checkpoints / f"step-{STEPS:08d}"
        assert find_fault(newest) is None
        scores = folder.read_scores()
        steps = [entry["step"] for entry in scores["history"]]
        assert steps == sorted(set(steps))
        assert scores["last"]["step"] == STEPS
        generator = Parts(0.1).generator
        for name, entry in ((newest.name, scores["last"]), ("best", scores["best"])):
            if entry is None:  # the best weights were damaged: scores.json names none
                assert self.damaged
                continue
            from mmgan.runs.loading import load_network

            load_network(folder.checkpoints / name, "generator", generator)
            assert state_digest(generator) == entry["weights"], name
        if scores["best"] is not None:
            assert read_facts(folder.checkpoints / "best")["step"] == scores["best"]["step"]
        assert yaml.safe_load(folder.config_file.read_text())["steps"] == STEPS
        json.loads(folder.scores_file.read_text())


def explore(sequences: int, seed: int, steps: int = 8) -> None:
    """Try so many random sequences."""
    settings = hypothesis.settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate] if sequences > 100 else list(hypothesis.Phase),
        suppress_health_check=list(hypothesis.HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(hypothesis.seed(seed)(FolderMachine), settings=settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    explore(arguments.sequences, arguments.seed)
    print(f"seed {arguments.seed}: {dict(COUNTS)}")


if __name__ == "__main__":
    main()
