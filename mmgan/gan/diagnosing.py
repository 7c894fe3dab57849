"""The diagnoses of a run under way."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgan.gan.diagnoser import Diagnoser
from mmgan.gan.loop import GanParts
from mmgan.process.accelerator import on_main
from mmgan.runs.session import Session
from mmgan.training.average import frozen_copy
from mmgan.training.tasks import Measure


@dataclass
class Diagnosing:
    """Diagnoses the discriminator every `every` generator steps, on copies of the networks."""

    diagnoser: Diagnoser
    parts: GanParts
    session: Session
    every: int

    def measure(self) -> Measure:
        """Measures come before the checkpoint of a step is kept: a run that resumes from it has its diagnosis."""
        return Measure(self.diagnose, self.every)

    def forget_later(self) -> None:
        """After a resume: forget the diagnoses of later steps."""
        on_main(self.session.accelerator, lambda: self.session.folder.cut_diagnoses(self.parts.step))

    def diagnose(self, step: int) -> Mapping[str, float]:
        """Diagnose, and note it in diagnosis.json and diagnoses/.

        Returns:
            The main numbers that are finite, by their names in metrics.

        Raises:
            StorageFailed: on all processes, if a file cannot be written.
        """
        from mmgan.report.diagnosis import diagnosis_line, main_numbers
        from mmgan.report.diagnosis_picture import diagnosis_picture

        session, accelerator = self.session, self.session.accelerator
        # D plays against the generator itself, not against its average.
        generator = frozen_copy(accelerator.unwrap_model(self.parts.generator), accelerator)
        mixed = accelerator.unwrap_model(self.parts.discriminator)
        discriminator = frozen_copy(mixed.model, accelerator)

        def note() -> tuple[dict[str, Any], Path]:
            entry = self.diagnoser.entry(generator, discriminator, step, mixed.picked)
            return entry, session.folder.note_diagnosis(entry, diagnosis_picture(entry))

        entry, path = on_main(accelerator, note)
        session.say(f"step {step}: {diagnosis_line(entry)}")
        session.track_picture("diagnosis", path, step)
        return {f"diagnosis/{name}": value for name, value in main_numbers(entry).items() if value is not None}
