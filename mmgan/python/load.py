"""`mmgan.load_generator(run)`."""

import warnings
from pathlib import Path

from torch import nn

from mmgan.gan.export import is_export, read_export
from mmgan.gan.networks import load_generator as load_from
from mmgan.python.train import Network, own_network
from mmgan.runs.folder import RunFolder


def load_generator(run: str | Path, which: str = "best", *, generator: Network | None = None) -> nn.Module:
    """Load the generator of a run or of an export: z (n, latent_dim), z ~ N(0, I) -> images (n, c, h, w) in [-1, 1].

    Nothing that the run names is executed.

    Args:
        run: the run folder, or a folder that `mmgan export` wrote; that holds one checkpoint.
        which: "best", "last", or a checkpoint's name such as "step-00001000".
        generator: the run's own generator, where it has one: FILE.py:NAME, its class, or what made it.

    Returns:
        The generator in evaluation mode, without gradients, on the CPU; the average of the weights where the run keeps
        one.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, or the run has another generator.
    """
    own, folder = own_network(generator), Path(run)
    trained = read_export(folder, own) if is_export(folder) else load_from(RunFolder(folder), which, own)
    for note in trained.notes:
        warnings.warn(f"since the run {note}", stacklevel=2)
    return trained.network
