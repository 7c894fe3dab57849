"""`mmgan.score(real, fake)`: what `mmgan score` computes, as a call."""

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmgan.commands import score as command
from mmgan.errors import UserError
from mmgan.python.train import Network, place_of

Images = str | Path | UInt8[Tensor, "n c h w"]


def score(
    real: Images | None,
    fake: Images,
    *,
    extractor: str | None = None,
    generator: Network | None = None,
    **flags: Any,
) -> dict[str, Any]:
    """Score images or a run, with the numbers of `mmgan score`.

        mmgan.score("photos", "samples", extractor="inception")["scores"]["frechet_inception_distance"]
        mmgan.score(None, "runs/mine")  # a run against its own training images

    Args:
        real: a folder of images or a tensor of them; for a run "train", "test" or None.
        fake: a folder of images, a tensor of them, or a run folder.
        extractor: "inception", "vgg16", ...; None: the run's own, or the FID Inception.
        generator: the run's own generator, where it has one.
        flags: those of `mmgan score`, as checkpoint="best", samples=1000, precision_recall=True.

    Returns:
        An entry of scores.json: "scores" with all that they depend on.

    Raises:
        UserError: for images or settings that cannot be scored.
    """
    with tempfile.TemporaryDirectory() as place:
        against = None if real is None else _folder(real, Path(place) / "real")
        out = Path(place) / "scores.json"
        named = {"real": against, "extractor": extractor, "generator": place_of(generator), "json": str(out)} | flags
        words = [_folder(fake, Path(place) / "fake")]
        for name, value in named.items():
            if value is not None and value is not False:
                flag = "--" + name.replace("_", "-")
                words.append(flag if value is True else f"{flag}={value}")
        with contextlib.redirect_stdout(io.StringIO()):
            command.main.__wrapped__(words)  # type: ignore[attr-defined]  # its errors are this call's
        entry: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    if isinstance(real, Tensor) and entry:
        entry["real"]["name"] = f"tensor {tuple(real.shape)}"
    return entry


def _folder(images: Images, place: Path) -> str:
    """The folder that holds the images; a tensor's are written to `place` without loss."""
    if not isinstance(images, Tensor):
        return str(images)
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] not in (1, 3):
        raise UserError(
            f"images are uint8 (n, c, h, w) of 1 or 3 channels, not {images.dtype} {tuple(images.shape)}:"
            " ((x + 1) * 127.5).round().clamp(0, 255).byte() makes them of floats in [-1, 1]"
        )
    from torchvision.transforms.functional import to_pil_image

    place.mkdir()
    for i, image in enumerate(images.cpu()):
        to_pil_image(image).save(place / f"{i:08d}.png")
    return str(place)
