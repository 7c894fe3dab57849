"""The exponential average of a network."""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def make_average(network: nn.Module, decay: float) -> AveragedModel | None:
    """average <- decay * average + (1 - decay) * network, of weights and BatchNorm statistics; None with decay 0."""
    if not decay:
        return None
    ema = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=ema, use_buffers=True)
