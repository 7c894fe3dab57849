"""A run's folder: where everything that it leaves behind lies."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from mmgan.errors import UserError


class RunFolder:
    """runs/<name>/ with config.yaml, metrics.jsonl, samples/, checkpoints/, scores.json, report.html."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.scores_file = self.path / "scores.json"
        self.report_file = self.path / "report.html"
        self.samples = self.path / "samples"
        self.checkpoints = self.path / "checkpoints"

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse to mix two runs in one folder, or to start one that could not be written. Writes nothing that stays.

        Raises:
            UserError: if the folder holds something and neither `resume` nor `overwrite` says what to do with it, if
                there is nothing to resume, if `overwrite` would remove what is not a run, or if it cannot be written.
        """
        if resume and overwrite:
            raise UserError("--resume and --overwrite exclude each other: go on with the run, or replace it")
        holds_run = self.config_file.is_file()
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"the run folder {self.path} is a file: name another with --out")
        if resume and not holds_run:
            raise UserError(
                f"there is no run to resume in {self.path}: name its folder with --out, or leave --resume out"
            )
        occupied = self.path.is_dir() and any(self.path.iterdir())
        if occupied and holds_run and not (resume or overwrite):
            raise UserError(
                f"{self.path} already holds a run: --resume goes on, --overwrite replaces it, --out names another"
            )
        if occupied and not holds_run:
            raise UserError(f"{self.path} holds files but no run (no config.yaml): name another folder with --out")
        self._check_writable()

    def _check_writable(self) -> None:
        nearest = self.path
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise UserError(
                f"the run folder {self.path} cannot be written ({nearest} refuses): name another with --out"
            )

    def start(self, config: Mapping[str, Any], *, overwrite: bool) -> None:
        """Make the folder and write config.yaml; with `overwrite`, what an earlier run left there goes first."""
        if overwrite and self.config_file.is_file():
            shutil.rmtree(self.path)
        self.samples.mkdir(parents=True, exist_ok=True)
        self.checkpoints.mkdir(exist_ok=True)
        write_atomically(self.config_file, yaml.safe_dump(dict(config), sort_keys=False))

    def append_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """One line a step at the end of metrics.jsonl."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def cut_metrics(self, step: int) -> None:
        """Drop the lines after `step`, which a resumed run writes again."""
        if self.metrics_file.is_file():
            kept = [line for line in self._metric_lines() if json.loads(line)["step"] <= step]
            write_atomically(self.metrics_file, "".join(kept))

    def _metric_lines(self) -> list[str]:
        """The whole lines; a run that was killed may leave a torn last one, which is dropped."""
        lines = self.metrics_file.read_text(encoding="utf-8").splitlines(keepends=True)
        return lines if not lines or lines[-1].endswith("\n") else lines[:-1]

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl, oldest first; empty where there are none yet."""
        return [json.loads(line) for line in self._metric_lines()] if self.metrics_file.is_file() else []

    def read_config(self) -> dict[str, Any]:
        """What config.yaml holds.

        Raises:
            UserError: if the folder is not a run's.
        """
        if not self.config_file.is_file():
            raise UserError(f"{self.path} is not a run folder: it holds no config.yaml")
        values = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise UserError(f"{self.config_file} is damaged: it must hold 'name: value' lines")
        return values

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """scores.json, whole or not at all."""
        write_atomically(self.scores_file, json.dumps(scores, indent=2, allow_nan=False) + "\n")

    def read_scores(self) -> dict[str, Any]:
        """What scores.json holds, or nothing."""
        if not self.scores_file.is_file():
            return {}
        values: dict[str, Any] = json.loads(self.scores_file.read_text(encoding="utf-8"))
        return values


def write_atomically(path: Path, text: str) -> None:
    """Write beside the file and rename: a reader sees the old text or the new, never a part."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
