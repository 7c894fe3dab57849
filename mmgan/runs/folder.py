"""The folder of a run and the files in it."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.fields import Names
from mmgan.config.files import read_yaml
from mmgan.config.gan import GanConfig
from mmgan.config.types import type_fault
from mmgan.errors import UserError
from mmgan.runs.belongings import STARTED, is_run, remove_run
from mmgan.runs.structure import digest_of, read_json, row_fault, scores_fault
from mmgan.storage import flush_folder, folder_of, name_fault, storing, write_atomically


class RunFolder:
    """runs/<name>/ with config.yaml, metrics.jsonl, times.jsonl, samples/, checkpoints/, scores.json, report.html; of a
    diagnosed discriminator also diagnosis.json and diagnoses/, of an evaluated classifier evaluation.json."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.yaml"
        self.metrics_file = self.path / "metrics.jsonl"
        self.times_file = self.path / "times.jsonl"
        self.scores_file = self.path / "scores.json"
        self.diagnosis_file = self.path / "diagnosis.json"
        self.evaluation_file = self.path / "evaluation.json"
        self.report_file = self.path / "report.html"
        self.traceback_file = self.path / "traceback.txt"
        self.samples = self.path / "samples"
        self.diagnoses = self.path / "diagnoses"
        self.checkpoints = self.path / "checkpoints"

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """Check that the run can use the folder. Nothing is written.

        Raises:
            UserError: if the folder is not empty and neither `resume` nor `overwrite` is given, if it holds no run to
                resume, if `overwrite` is given for a folder that is not a run's, or if it cannot be written.
        """
        if resume and overwrite:
            raise UserError("--resume and --overwrite exclude each other: go on with the run, or replace it")
        if fault := name_fault(self.path):
            raise UserError(f"the run folder {self.path} cannot be made ({fault}): name another with --out")
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"the run folder {self.path} is a file: name another with --out")
        occupied = self.path.is_dir() and any(path.name not in STARTED for path in self.path.iterdir())
        holds_run = self.config_file.is_file() and (not occupied or is_run(self.read_config()))
        if resume and not holds_run:
            raise UserError(
                f"there is no run to resume in {self.path}: name its folder with --out, or leave --resume out"
            )
        if occupied and holds_run and not (resume or overwrite):
            raise UserError(
                f"{self.path} already holds a run: --resume goes on, --overwrite replaces it, --out names another"
            )
        if occupied and not holds_run:
            why = "its config.yaml is not a run's" if self.config_file.is_file() else "no config.yaml"
            raise UserError(f"{self.path} holds files but no run of mmgan ({why}): name another folder with --out")
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
        """Make the folder and write config.yaml; `overwrite` removes what mmgan made of an earlier run first.

        The folder never holds other files without a config.yaml, so a run that is killed here can be started again.

        Raises:
            StorageFailed: if it cannot be written.
        """
        with storing(self.path):
            if overwrite and self.config_file.is_file():
                remove_run(self.path)
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_config(config)
            self.samples.mkdir(exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            flush_folder(self.path)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write config.yaml, whole or not at all.

        Raises:
            StorageFailed: if it cannot be written.
        """
        write_atomically(self.config_file, yaml.safe_dump(dict(config), sort_keys=False))

    def append_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append one line per step to metrics.jsonl.

        Raises:
            StorageFailed: if they cannot be written.
        """
        with storing(self.metrics_file), self.metrics_file.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def seal_metrics(self) -> str:
        """Flush metrics.jsonl to the disk. A checkpoint is saved after the metrics up to its step.

        Returns:
            The SHA-256 of the file.

        Raises:
            StorageFailed: if the disk refuses, or the file is gone.
        """
        with storing(self.metrics_file), self.metrics_file.open("rb") as file:
            os.fsync(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest()

    def find_metrics_fault(self, step: int, digest: str) -> str | None:
        """What is wrong with the lines of the steps 1 to `step`, whose SHA-256 was `digest`; or None."""
        lines = []
        for line in self._metric_lines():
            # By their steps, not by their number: --allow-changed may have gone on without some.
            if (row := _row(line)) is None or row["step"] > step:
                break
            lines.append(line)
        if hashlib.sha256(b"".join(lines)).hexdigest() == digest:
            return None
        return f"{self.metrics_file} does not have the lines that it had at step {step}"

    def cut_metrics(self, step: int) -> None:
        """Drop the lines after `step`, which a resumed run writes again, and damaged ones.

        Raises:
            StorageFailed: if it cannot be written.
        """
        kept = []
        for line in self._metric_lines():
            row = _row(line)
            if row is not None and row["step"] <= step:
                kept.append(line)
        write_atomically(self.metrics_file, b"".join(kept))

    def _metric_lines(self) -> list[bytes]:
        """The complete lines. A killed run may leave an incomplete last one, which is dropped."""
        lines = self.metrics_file.read_bytes().splitlines(keepends=True) if self.metrics_file.is_file() else []
        return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]

    def read_metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl, oldest first.

        Raises:
            UserError: naming the first damaged line.
        """
        rows = []
        for number, line in enumerate(self._metric_lines(), 1):
            if (row := _row(line)) is None:
                raise UserError(f"{self.metrics_file} is damaged at line {number}: put it back as the run left it")
            rows.append(row)
        return rows

    def read_config(self) -> dict[str, Any]:
        """The settings in config.yaml.

        Raises:
            UserError: if the folder is not a run's, or the file is damaged, holds more than plain values, or a value
                does not have the type of its setting.
        """
        if not self.config_file.is_file():
            raise UserError(f"{self.path} is not a run folder: it holds no config.yaml")
        values = read_yaml(self.config_file)
        cls = GanConfig if GanConfig.MARK in values else ClassifierConfig
        if fault := type_fault(cls, values):
            raise UserError(f"{self.config_file} is damaged ({fault}): put it back as the run left it")
        return values

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        """Write scores.json with a digest of its content, whole or not at all.

        Raises:
            StorageFailed: if it cannot be written.
        """
        content = {**scores, "digest": digest_of(scores)}
        write_atomically(self.scores_file, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def read_scores(self) -> dict[str, Any]:
        """The content of scores.json without its digest; empty if there is no such file.

        Raises:
            UserError: if it is damaged or was changed. A file of an earlier version of mmgan has no digest.
        """
        if not self.scores_file.is_file():
            return {}
        try:
            values = read_json(self.scores_file.read_bytes())
            digest = values.pop("digest", None) if isinstance(values, dict) else None
            fault = scores_fault(values)
            if digest is not None and digest != digest_of(values):
                fault = "it does not have the content it was written with"
        except (OSError, ValueError) as error:
            fault = " ".join(str(error).split())
        if fault:
            raise UserError(f"{self.scores_file} is damaged ({fault}): put it back as the run left it, or remove it")
        scores: dict[str, Any] = values
        return scores

    def note_diagnosis(self, entry: Mapping[str, Any], picture: bytes) -> Path:
        """Put a diagnosis into diagnosis.json, in place of an earlier one of its step, and its picture into diagnoses/.

        Returns:
            The picture's path.

        Raises:
            StorageFailed: if one cannot be written.
            UserError: if diagnosis.json is damaged.
        """
        path = self.diagnoses / f"step-{entry['step']:08d}.png"
        others = [other for other in self.read_diagnoses() if other["step"] != entry["step"]]
        with storing(path):
            self.diagnoses.mkdir(exist_ok=True)
        write_atomically(path, picture)
        self._write_diagnoses(sorted([*others, entry], key=lambda one: int(one["step"])))
        return path

    def cut_diagnoses(self, step: int) -> None:
        """Drop the diagnoses after `step`, which a resumed run makes again.

        Raises:
            StorageFailed: if diagnosis.json cannot be written.
            UserError: if it is damaged.
        """
        diagnoses = self.read_diagnoses()
        kept = [entry for entry in diagnoses if entry["step"] <= step]
        if len(kept) < len(diagnoses):
            self._write_diagnoses(kept)

    def read_diagnoses(self) -> list[dict[str, Any]]:
        """The diagnoses in diagnosis.json, oldest first; none if there is no such file.

        Raises:
            UserError: if it is damaged.
        """
        history = _read_object(self.diagnosis_file).get("history", [])
        entries = history if isinstance(history, list) else [history]
        if not all(isinstance(entry, dict) and isinstance(entry.get("step"), int) for entry in entries):
            raise UserError(f"{self.diagnosis_file} is damaged (it holds no diagnoses): put it back, or remove it")
        return list(history)

    def _write_diagnoses(self, history: Sequence[Mapping[str, Any]]) -> None:
        write_atomically(self.diagnosis_file, json.dumps({"history": history}, indent=2, allow_nan=False) + "\n")


def default_folder(data: str, arch: str, mix: Names, seed: int) -> Path:
    """The run folder where --out names none: runs/<data>-<arch>-<layers>-seed<seed>; without `arch` if it is empty."""
    name = folder_of(data).absolute().name if data.startswith("folder:") else data
    name = name.replace(":", "-") or "images"  # no colon: PATH-like variables and Windows split there
    return Path("runs") / "-".join([name, *([arch] if arch else []), "+".join(mix.items), f"seed{seed}"])


def _read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file."""
    if not path.is_file():
        return {}
    try:
        values = read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): put it back, or remove it") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged (it holds no object): put it back, or remove it")
    return values


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of metrics.jsonl; None if it is damaged."""
    try:
        row = read_json(line)
    except ValueError:
        return None
    return row if row_fault(row) is None else None
