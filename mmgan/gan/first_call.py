"""One call of each network that a user brings, before training: what cannot work is told in one line."""

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.faults import user_code
from mmgan.gan.own import OwnNetwork
from mmgan.mixing import Mixed
from mmgan.nests import leaves
from mmgan.outputs import costs
from mmgan.training.average import copied

FEW = 2
"""Rows of a call with another number of rows than training's."""


def try_generator(
    own: OwnNetwork,
    generator: nn.Module,
    latent_dim: int,
    shape: tuple[int, ...],
    rows: int,
    accelerator: Accelerator,
    classes: int | None = None,
) -> list[str]:
    """Call a copy of the generator in training and in evaluation mode, and its backward once.

    Args:
        own: says where it comes from.
        generator: takes z (n, latent_dim).
        latent_dim: of z.
        shape: (c, h, w) of the training images.
        rows: of a training step.
        accelerator: the run's.
        classes: number of classes, where the generator also takes those of its rows.

    Returns:
        Lines to print at the start.

    Raises:
        UserError: if it does not return finite images of this shape, has nothing to train, or fails.
    """
    tried, where = _copy(own, generator, accelerator), f"generator {own.place}"
    z = torch.randn(rows, latent_dim, generator=torch.Generator().manual_seed(0)).to(accelerator.device)
    call = f"when it was called with z of shape {tuple(z.shape)}"
    with global_stream(0, "first call"), accelerator.autocast(), user_code(own.place, call, own.made_by):
        images = tried(z, *_labels(rows, classes, accelerator))
    _check_images(images, where, (rows, *shape))
    unused = _backward(own, tried, images.float().square().mean(), where)
    call = f"in evaluation mode, {call.replace(str(rows), str(FEW), 1)}"
    with global_stream(0, "first call"), torch.no_grad(), user_code(own.place, call, own.made_by):
        few = tried.eval()(z[:FEW], *_labels(FEW, classes, accelerator))
    _check_images(few, f"{where} in evaluation mode", (FEW, *shape))
    low, high = float(images.detach().min()), float(images.detach().max())
    notes = _unused_lines(where, unused, accelerator)
    if low < -1.001 or high > 1.001:
        notes.append(
            f"{where}: its first images reach from {low:.2g} to {high:.2g}; pictures and scores cut them to [-1, 1],"
            " the range of real images (a tanh at the end keeps to it)"
        )
    elif low >= 0:
        notes.append(
            f"{where}: its first images have no value below 0, from {low:.2g} to {high:.2g}; real images are in"
            " [-1, 1], so it should end with tanh rather than sigmoid"
        )
    return notes


def try_discriminator(
    own: OwnNetwork,
    discriminator: nn.Module,
    pick: Callable[[Any], Any] | None,
    separate: bool,
    shape: tuple[int, ...],
    rows: int,
    accelerator: Accelerator,
    classes: int | None = None,
) -> list[str]:
    """Call a copy of the discriminator and its backward once, and ask whether its rows meet.

    Args:
        own: says where it comes from.
        discriminator: takes x (n, c, h, w).
        pick: takes the logits from its output.
        separate: whether real, fake and mixed rows will run in forwards of their own.
        shape: (c, h, w) of the training images.
        rows: real and fake, of a training step.
        accelerator: the run's.
        classes: number of classes, where the discriminator also takes those of its rows.

    Returns:
        Lines to print at the start.

    Raises:
        UserError: if its output holds no finite logits for each row, it has nothing to train, its rows see each other
            in one forward, or it fails.
    """
    tried, where = _copy(own, discriminator, accelerator), f"discriminator {own.place}"
    x = (torch.rand(rows, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(accelerator.device)
    y = _labels(rows, classes, accelerator)
    call = f"when it was called with x of shape {tuple(x.shape)}"
    with global_stream(0, "first call"), accelerator.autocast(), user_code(own.place, call, own.made_by):
        output = tried(x, *y)
        logits = output if pick is None else pick(output)
    hint = "" if pick else "; --pick takes the logits from an output of several parts"
    try:
        cost = costs(lambda head: head, logits)
    except UserError:
        raise UserError(f"{where} returns {_shapes(logits)}, which are features and no logits{hint}") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} returns {_shapes(logits)}: {error}{hint}") from None
    if len(cost) != rows:
        raise UserError(f"{where} returns {_shapes(logits)} for {rows} images: a logit, or a map, for each is needed")
    if not bool(torch.isfinite(cost).all()):
        raise UserError(f"{where} returns NaN or infinite logits at its first call, before any training")
    unused = _backward(own, tried, cost.mean(), where)
    if not separate:
        with user_code(own.place, call, own.made_by):
            met = Mixed(_copy(own, discriminator, accelerator).train(), "pixel", pick=pick).check(x, *y)["pixel"].meets
        if "append" in met:
            raise UserError(
                f"{where}: its rows see each other (BatchNorm in training mode, or statistics over the batch), so real"
                " and fake images in one forward would change each other's logits: add --passes separate"
            )
    return _unused_lines(where, unused, accelerator)


def _labels(rows: int, classes: int | None, accelerator: Accelerator) -> tuple[Tensor, ...]:
    """Classes of the rows, one for all, or nothing."""
    return () if classes is None else (torch.zeros(rows, dtype=torch.int64, device=accelerator.device),)


def share_weights(network: nn.Module, accelerator: Accelerator) -> None:
    """Give all processes the weights of rank 0: a user's code may draw its own random numbers. Collective."""
    if accelerator.num_processes > 1:
        network.to(accelerator.device)
        for tensor in [*network.parameters(), *network.buffers()]:
            tensor.data.copy_(broadcast(tensor.data, from_process=0))


def _copy(own: OwnNetwork, network: nn.Module, accelerator: Accelerator) -> nn.Module:
    if not any(p.requires_grad for p in network.parameters()):
        raise UserError(f"{own.place} has no parameters to train")
    with user_code(own.place, "when it was copied, as averages and samples need it", own.made_by):
        return copied(network).to(accelerator.device).train()


def _check_images(images: Any, where: str, wanted: tuple[int, ...]) -> None:
    _, c, h, w = wanted
    if not isinstance(images, Tensor):
        raise UserError(f"{where} returns a {type(images).__name__}: it must return images {wanted} alone")
    if tuple(images.shape) != wanted:
        size = "" if images.shape[-2:] == (h, w) or images.dim() != 4 else f", or --image-size {images.shape[-1]}"
        raise UserError(
            f"{where} returns shape {tuple(images.shape)}, but the images are {c} x {h} x {w}: it must return {wanted}"
            f" (it may ask for image_size and channels){size}"
        )
    if not images.is_floating_point():
        raise UserError(f"{where} returns {images.dtype}: images are floating point in [-1, 1]")
    if not bool(torch.isfinite(images.detach()).all()):
        raise UserError(f"{where} returns NaN or infinite values at its first call, before any training")


def _backward(own: OwnNetwork, network: nn.Module, loss: Tensor, where: str) -> list[str]:
    """The names of parameters that get no gradient."""
    if not loss.requires_grad:
        raise UserError(f"{where} returns values without gradients (is there a no_grad or detach in it?)")
    with user_code(own.place, "in its backward", own.made_by):
        loss.backward()  # type: ignore[no-untyped-call]
    wanted = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    if not any(p.grad is not None for _, p in wanted):
        raise UserError(f"{where}: none of its parameters gets a gradient (is there a no_grad or detach in it?)")
    return [name for name, p in wanted if p.grad is None]


def _unused_lines(where: str, unused: list[str], accelerator: Accelerator) -> list[str]:
    if not unused:
        return []
    more = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
    line = f"{where}: parameter {unused[0]}{more} takes no part in what it returned"
    if accelerator.num_processes > 1:
        raise UserError(
            f"{line}, and several processes would wait for its gradient: switch it off with requires_grad_(False), or"
            " use one process"
        )
    return [f"{line} at its first call"]


def _shapes(output: Any) -> str:
    shapes = [f"{tuple(leaf.shape)}" for _, leaf in leaves(output)]
    return " and ".join(shapes) if shapes else f"a {type(output).__name__} without tensors"
