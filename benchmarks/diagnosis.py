"""A diagnosis of the discriminator, in steps of D, next to its multiply-adds."""

import torch

from benchmarks.arithmetic import multiply_adds, times
from benchmarks.gan_step import discriminator_calls
from benchmarks.rows import Row, row_of
from benchmarks.setup import Gan
from benchmarks.timing import alternate
from mmgan.data import draw_images
from mmgan.gan.diagnoser import Diagnoser


def measure(device: str, quick: bool) -> list[Row]:
    """Return the row of this part: 1000 training images and as many fakes and held-out images, at every layer."""
    gan = Gan(device, batch_size=16 if quick else 64, d_width=8 if quick else 32, g_width=8 if quick else 32)
    generator, discriminator = gan.networks()
    discriminator.eval().requires_grad_(False)
    images = gan.images()
    count = 32 if quick else len(images)
    diagnoser = Diagnoser(
        draw_images(images, count, 0),
        draw_images(images, count, 1),
        conditional=False,
        mixed=("1", "2", "pixel"),
        latent_dim=gan.latent_dim,
        chunk=gan.batch_size,
        seed=0,
        device=torch.device(device),
    )
    calls = {
        "diagnosis": lambda: diagnoser.entry(generator, discriminator, step=1),
        "step": discriminator_calls(gan, "none"),
    }
    arithmetic = multiply_adds(calls["diagnosis"], warmup=0) / multiply_adds(calls["step"])
    timings = alternate(calls, 1 if quick else 5, device)
    return [
        row_of(
            f"a diagnosis of {count} images of each kind, in steps of D without mixing, SN-ResNets {gan.d_width} wide,"
            f" 32x32, batch {gan.batch_size}",
            timings.ratio("diagnosis", "step"),
            "steps",
            arithmetic=times(arithmetic),
            detail={"multiply-adds": arithmetic, "cpu": timings.cpu_ratio("diagnosis", "step").value},
        )
    ]
