"""Novel deformations of the test images (Section 5.2; Table 4 and, in full, Table 9)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional as F

from mmgan.analysis.input_checks import check_images
from mmgan.draws import numpy_stream
from mmgan.errors import UserError


@dataclass(frozen=True)
class Deformation:
    """One row of Table 9.

    Attributes:
        kind: of the deformation.
        amount: "rotation", "shear": the angle is drawn from U(-amount, amount), in degrees, one draw an image.
            "zoom": side of the centred box that fills the new image, in percent of the old side; below 100 zooms in,
            above 100 zooms out. The same for all images and in both directions, so nothing is drawn.
    """

    kind: Literal["rotation", "shear", "zoom"]
    amount: float


TABLE_9: Mapping[str, Deformation] = MappingProxyType(
    {f"rotation-{degrees}": Deformation("rotation", degrees) for degrees in (20, 40, 60, 80)}
    | {f"shear-{degrees}": Deformation("shear", degrees) for degrees in (28.6, 57.3, 114.6, 143.2, 171.9)}
    | {f"zoom-in-{percent}": Deformation("zoom", percent) for percent in (20, 40, 60, 80)}
    | {f"zoom-out-{percent}": Deformation("zoom", percent) for percent in (120, 140, 160, 180)}
)
"""All 17 deformations of Table 9, in its order. Shears of 28.6 ... 171.9 degrees are 0.5, 1, 2, 2.5 and 3 radians."""


def deform(
    images: Float[Tensor, "n c h w"],
    deformation: Deformation,
    *,
    seed: int = 0,
    first: int = 0,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
) -> Float[Tensor, "n c h w"]:
    """Deform each image about its centre; outside the image everything is black, -1 in [-1, 1].

    Pixels are squares and the image's corners are its outer edges (align_corners=False): the centre of an even-sized
    image lies between its middle pixels, and bilinear interpolation fades into the black over one pixel at the border.
    Zooming out does not low-pass the image first. A rotation turns counter-clockwise for a positive angle. The paper
    does not say how an angle becomes a shear; here, as in the released code, output column x (from the centre) shows
    input column x cos(angle), displaced by x sin(angle) rows, which stays finite beyond 90 degrees. Otherwise
    this follows the paper's text: the released code has nearest neighbour, and a zoom drawn separately for each side.

    Args:
        images: (N, C, H, W) in [-1, 1], on any device.
        deformation: an item of `TABLE_9`, or another.
        seed: determines each image's angle, with the deformation and the image's index: a fixed test set.
        first: index of images[0] in the data set, so that the batch size does not change any image.
        interpolation: "bilinear" or "nearest".

    Raises:
        UserError: for images outside [-1, 1], first < 0, an amount that is negative (or, for a zoom, 0), or an unknown
            interpolation.
    """
    check_images(images)
    if interpolation not in ("bilinear", "nearest"):
        raise UserError(f"interpolation '{interpolation}' is unknown: choose bilinear or nearest")
    n, _, h, w = images.shape
    a = torch.from_numpy(inverse_maps(deformation, n, seed=seed, first=first))  # (n, 2, 2)
    # From pixels to the units of affine_grid, where either half side is 1.
    theta = torch.zeros(n, 2, 3, dtype=torch.float64)
    theta[:, :, :2] = a * torch.tensor([[1.0, h / w], [w / h, 1.0]], dtype=torch.float64)
    grid = F.affine_grid(theta.to(images), [n, 1, h, w], align_corners=False)  # (n, h, w, 2)
    # grid_sample pads with zeros, so black has to be 0.
    deformed = F.grid_sample(images + 1, grid, mode=interpolation, padding_mode="zeros", align_corners=False) - 1
    return deformed.clamp(-1, 1)  # weights sum to 1 but for rounding


def inverse_maps(deformation: Deformation, n: int, *, seed: int = 0, first: int = 0) -> Float64[np.ndarray, "n 2 2"]:
    """Matrices that take a pixel (x, y) of the new image to the point of the old one that it shows.

    In pixels from the image's centre, x to the right and y down.

    Raises:
        UserError: for a negative amount or `first`, or a zoom of 0.
    """
    kind, amount = deformation.kind, deformation.amount
    if not (math.isfinite(amount) and amount >= 0) or (kind == "zoom" and amount == 0):
        raise UserError(f"a {kind} of {amount} is none: choose degrees of 0 or more, or for a zoom percent above 0")
    if first < 0:
        raise UserError(f"first = {first} is no index: choose 0 or more")
    if kind == "zoom":
        return np.tile(np.eye(2) * (amount / 100), (n, 1, 1))
    draws = numpy_stream(seed, f"deformation {kind} {amount:g}").uniform(-amount, amount, first + n)[first:]  # (n,)
    angle = np.deg2rad(draws)
    sin, cos, zero, one = np.sin(angle), np.cos(angle), np.zeros(n), np.ones(n)
    if kind == "rotation":
        entries = [cos, -sin, sin, cos]
    else:
        entries = [cos, zero, -sin, one]
    return np.stack(entries, axis=1).reshape(n, 2, 2)
