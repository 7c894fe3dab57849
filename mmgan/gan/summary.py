"""The lines that a GAN run prints at its end."""

from mmgan.config.gan import GanMixSettings
from mmgan.gan.scores import one_line
from mmgan.runs.folder import RunFolder
from mmgan.runs.words import closing


def summary(folder: RunFolder, mix: GanMixSettings, steps: int, seed: int) -> str:
    """The scores with their extractor, mixing, length and seed, and the paths of the files."""
    scores = folder.read_scores()
    lines = []
    if scores:
        last, best = scores["last"], scores["best"]
        real, extractor = last["real"], last["extractor"]
        lines.append(f"last   {one_line(last)}")
        if best is not None and best["step"] != last["step"]:
            lines.append(f"best   {one_line(best)}, step {best['step']}")
        lines.append(
            f"scored against {real['images']:,} images of {real['name']} ({real['split']}) with extractor"
            f" {extractor['name']}, weights {extractor['digest'][:12]}"
        )
        if extractor["name"] != "inception":
            lines.append("these are not Inception scores: compare them only with scores of the same extractor")
        lines += [f"note: {note}" for note in last["notes"]]
    grids, checkpoints = sorted(folder.samples.glob("*.png")), sorted(folder.checkpoints.glob("step-*"))
    paths = {
        "samples": grids[-1] if grids else None,
        "scores": folder.scores_file,
        "metrics": folder.metrics_file,
        "checkpoint": checkpoints[-1] if checkpoints else None,
        "best": folder.checkpoints / "best",
        "report": folder.report_file,
    }
    return "\n".join([*lines, *closing(mix, f"{steps} steps", seed, paths)])
