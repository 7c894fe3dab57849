"""A vocoder in the style of HiFi-GAN: multi-period and multi-scale discriminators, least squares, feature matching.

Each sub-discriminator returns (logits, feature maps). Mixing needs the logits alone, so each is wrapped with a `pick`;
the generator's step calls the sub-discriminators themselves, for the feature maps. Run it as:
python examples/vocoder.py
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from mmgan import Mixed, MixupTerm, RealFakePolicy

LAYERS = "pixel,convs.0,convs.1"
WINDOW, HOP, LENGTH = 64, 32, 1024


class PeriodDiscriminator(nn.Module):
    """Folds the signal to (n, 1, length / period, period): every period-th sample stands in one column."""

    def __init__(self, period: int, width: int = 8) -> None:
        super().__init__()
        self.period = period
        sizes = [(1, width), (width, 2 * width), (2 * width, 4 * width)]
        self.convs = nn.ModuleList(weight_norm(nn.Conv2d(i, o, (5, 1), (3, 1), (2, 0))) for i, o in sizes)
        self.post = weight_norm(nn.Conv2d(4 * width, 1, (3, 1), 1, (1, 0)))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = F.pad(x, (0, -x.shape[-1] % self.period), mode="reflect")
        x = x.view(len(x), 1, -1, self.period)
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return self.post(x).flatten(1), features  # (n, logits)


class ScaleDiscriminator(nn.Module):
    """The signal itself, or a coarser one."""

    def __init__(self, scale: int, width: int = 8) -> None:
        super().__init__()
        self.scale = scale
        sizes = [(1, width), (width, 2 * width), (2 * width, 4 * width)]
        self.convs = nn.ModuleList(weight_norm(nn.Conv1d(i, o, 15, 4, 7)) for i, o in sizes)
        self.post = weight_norm(nn.Conv1d(4 * width, 1, 3, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = F.avg_pool1d(x, self.scale)
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            features.append(x)
        return self.post(x).flatten(1), features  # (n, logits)


def spectrogram(x: Tensor) -> Tensor:
    """(n, 1, length) -> (n, WINDOW / 2, length / HOP)."""
    frames = torch.stft(x.squeeze(1), WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True)
    return frames.abs()[:, 1:, :-1]


def tones(n: int) -> Tensor:
    """(n, 1, LENGTH): a fundamental and two overtones, with random phases."""
    t = torch.arange(LENGTH) / LENGTH
    f, phase = torch.rand(n, 1, 1) * 40 + 10, torch.rand(n, 3, 1) * 6.283
    overtones = torch.arange(1, 4).view(1, 3, 1)
    return (torch.sin(6.283 * f * overtones * t + phase) / overtones).sum(1, keepdim=True) / 2


def main(steps: int = 150, batch: int = 8) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    G = nn.Sequential(
        weight_norm(nn.Conv1d(WINDOW // 2, 32, 7, padding=3)),
        nn.LeakyReLU(0.1),
        weight_norm(nn.ConvTranspose1d(32, 16, 16, 8, 4)),
        nn.LeakyReLU(0.1),
        weight_norm(nn.ConvTranspose1d(16, 8, 8, 4, 2)),
        nn.LeakyReLU(0.1),
        weight_norm(nn.Conv1d(8, 1, 7, padding=3)),
        nn.Tanh(),
    )  # a spectrogram -> (n, 1, LENGTH)
    Ds = nn.ModuleList([*(PeriodDiscriminator(p) for p in (2, 3, 5)), *(ScaleDiscriminator(s) for s in (1, 2))])

    # Mixing, 1 of 2: a wrapper and a term for each sub-discriminator, with pairs of its own. The wrapper edits nothing.
    mixed_Ds = [Mixed(d, LAYERS, pick=lambda output: output[0]) for d in Ds]
    mixups = [MixupTerm(d, RealFakePolicy(LAYERS), loss="least-squares", seed=i) for i, d in enumerate(mixed_Ds)]

    opt_d = torch.optim.AdamW(Ds.parameters(), lr=1e-3, betas=(0.8, 0.99))
    opt_g = torch.optim.AdamW(G.parameters(), lr=1e-3, betas=(0.8, 0.99))
    history = []
    for step in range(steps):
        real = tones(batch)
        fake = G(spectrogram(real))

        # Mixing, 2 of 2: one more term for each sub-discriminator.
        mixed = sum(mixup(real, fake.detach(), step=step) for mixup in mixups)
        loss_d = sum((1 - d(real)[0]).square().mean() + d(fake.detach())[0].square().mean() for d in Ds)
        opt_d.zero_grad()
        (loss_d + mixed).backward()
        opt_d.step()

        loss_g = 45 * (spectrogram(fake) - spectrogram(real)).abs().mean()
        for d in Ds:
            (_, wanted), (logits, features) = d(real), d(fake)
            loss_g = loss_g + (1 - logits).square().mean()
            loss_g = loss_g + 2 * sum((a.detach() - b).abs().mean() for a, b in zip(wanted, features, strict=True))
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        history.append({"loss_d": loss_d.item(), "loss_g": loss_g.item(), "mixed": mixed.item()})
        if step % 15 == 0 or step == steps - 1:
            print(f"step {step:4d}  " + "  ".join(f"{name} {value:7.3f}" for name, value in history[-1].items()))
    return Ds, history


if __name__ == "__main__":
    main()
