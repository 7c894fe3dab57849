"""Networks of the user's own under --compile: what cannot be one graph is told in one line, before training."""

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mmgan.draws import global_stream
from mmgan.errors import UserError
from mmgan.gan.own import OwnNetwork
from mmgan.training.average import copied


def try_compile(own: OwnNetwork, network: nn.Module, inputs: tuple[Tensor, ...], accelerator: Accelerator) -> None:
    """Trace a copy of the network into one graph, without generating code for it.

    Args:
        own: says where it comes from.
        network: has been called with such inputs.
        inputs: of a call.
        accelerator: the run's.

    Raises:
        UserError: if it makes no single graph, with the compiler's reason.
    """
    device = accelerator.device
    traced = torch.compile(copied(network).to(device).train(), backend="eager", fullgraph=True)
    try:
        with global_stream(0, "first call"), accelerator.autocast():
            traced(*(values.to(device) for values in inputs))
    except Exception as error:  # the compiler's, of many kinds: without it the same call went well
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{own.place} cannot be compiled as one graph ({reason}): leave --compile out") from error
    finally:
        torch.compiler.reset()
