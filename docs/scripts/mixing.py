"""Draw docs/images/mixing.svg: what mixing at the pixels, at h1 and at h2 does to rows and to labels.

python docs/scripts/mixing.py

The rows are a digit of scikit-learn and a sample of the demo; the hidden states are those of mmgan's discriminator.
"""

from pathlib import Path

import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from mmgan import Mixed, MixPlan
from mmgan.data import load_images, to_float
from mmgan.discriminators import build_discriminator

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs/images/mixing.svg"
LAM = 0.6
GREEN, RED, BLUE, GREY = "#1b7f5c", "#c0392b", "#2c5aa0", "#8a8a8a"


def rows() -> tuple[Tensor, Tensor]:
    """A real image and a fake one, (1, 1, 16, 16) in [-1, 1]."""
    digits = load_images("digits", "data", image_size=16, channels=1, download=False)
    real = to_float(digits.pixels[8:9])
    sheet = Image.open(ROOT / "docs/demo-samples.png").convert("L")
    side = sheet.width // 8
    fake = sheet.crop((side, 0, 2 * side, side)).resize((16, 16))
    return real, torch.frombuffer(bytearray(fake.tobytes()), dtype=torch.uint8).view(1, 1, 16, 16) / 127.5 - 1


def states(real: Tensor, fake: Tensor, layer: str) -> dict[str, Tensor]:
    """The pixels, h1 and h2 of real, fake and, from the mixed layer on, mixed row: name -> (2 or 3, c, h, w)."""
    torch.manual_seed(3)
    net = build_discriminator("resnet", 16, 1, 32).eval()
    plan = MixPlan(layer, torch.tensor([0]), torch.tensor([1]), torch.tensor([LAM]), (1, 1))
    batch = torch.cat([real, fake])
    seen = {"pixels": torch.cat([batch, plan.mix(batch)]) if layer == "pixel" else batch}
    with torch.no_grad():
        mixed = Mixed(net, layer, check=False)
        for name in ("1", "2"):
            net.get_submodule(net.stages[name]).register_forward_hook(
                lambda _m, _i, out, name=name: seen.update({f"h{name}": out})
            )
        mixed(batch, plan=plan, mode="append")
    return seen


def picture(values: Tensor) -> Tensor:
    """A row as a grey picture: its pixels, or the mean size of its channels."""
    return values[0] if len(values) == 1 else values.abs().mean(0)


def draw() -> Figure:
    """One band a layer; in each the pixels, h1, h2 and the labels of the three rows."""
    figure = Figure(figsize=(9.0, 4.5), facecolor="white")
    real, fake = rows()
    for band, (layer, title) in enumerate(
        {"pixel": "mixed at the pixels", "1": "mixed at h1", "2": "mixed at h2"}.items()
    ):
        seen = states(real, fake, layer)
        top = 0.88 - 0.325 * band
        figure.text(0.01, top - 0.10, title, fontsize=11, weight="bold", va="center")
        for column, (name, values) in enumerate(seen.items()):
            left = 0.20 + 0.185 * column
            if band == 0:
                figure.text(left + 0.045, 0.95, name, ha="center", fontsize=11)
            for row in range(3):
                place = (left, top - 0.1 * row - 0.05, 0.09, 0.095)
                if row == len(values):
                    continue
                axes = figure.add_axes(place)
                axes.imshow(picture(values[row]), cmap="gray", aspect="equal")
                axes.set(xticks=[], yticks=[])
                for spine in axes.spines.values():
                    spine.set(color=(GREEN, RED, BLUE)[row], linewidth=1.6)
            figure.text(left + 0.137, top - 0.1, "\u2192", ha="center", va="center", fontsize=16, color=GREY)
        if band == 0:
            figure.text(0.82, 0.95, "label", ha="center", fontsize=11)
        labels = ("1", GREEN, "real"), ("0", RED, "fake"), (f"{LAM:g}", BLUE, f"{LAM:g} real + {1 - LAM:g} fake")
        for row, (label, colour, words) in enumerate(labels):
            height = top - 0.1 * row
            figure.text(0.82, height, label, ha="center", va="center", fontsize=12, color=colour, weight="bold")
            figure.text(0.85, height, words, va="center", fontsize=9.5, color=colour)
    return figure


def main() -> None:
    """Write the figure."""
    with rc_context({"svg.hashsalt": "mmgan", "font.family": "DejaVu Sans"}):
        draw().savefig(OUT, metadata={"Date": None})
    print(OUT.relative_to(ROOT))


if __name__ == "__main__":
    main()
