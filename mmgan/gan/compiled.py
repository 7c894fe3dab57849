"""The networks of a GAN under torch.compile, and as CUDA graphs."""

import torch
from torch import nn

GRAPHS = 64
"""More than a network has: one a layer, times slices that advance spectral norms or not, and the regularizers' own."""


def compile_networks(generator: nn.Module, discriminator: nn.Module, *, cuda_graphs: bool) -> None:
    """Compile both networks in place, into one graph for each mixing layer.

    As CUDA graphs ("reduce-overhead") a graph is recorded once and then replayed by one launch. Torch copies plans,
    images and latents into the memory that the recording reads. What a replay returns is written again in the next
    step, which `train_gan` marks: a step keeps logits and gradients no longer than to its end.

    Args:
        generator, discriminator: as they train; the discriminator is a `Mixed` that has looked at its network.
        cuda_graphs: on a GPU, record the graphs.
    """
    # Torch gives up at eight, which all layers with --accumulate and a regularizer exceed.
    torch._dynamo.config.recompile_limit = max(GRAPHS, torch._dynamo.config.recompile_limit)
    mode = "reduce-overhead" if cuda_graphs else None
    for network in (generator, discriminator):
        network.compile(fullgraph=True, mode=mode)
