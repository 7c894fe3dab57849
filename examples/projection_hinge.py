"""A projection discriminator (Miyato & Koyama 2018) with spectral norm and hinge loss, one forward for all rows.

What is the class of a mixed row? Two answers, by `soft_class`. False: rows mix within their class. True: the class
embedding is mixed with the features, as part of the layer "block2+embed". Run it as:
python examples/projection_hinge.py, or with --soft-class
"""

import sys

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mmgan import GAN_LOSSES, Mixed, RealFakePolicy, mixed_loss


class Block(nn.Module):
    """A pre-activation residual block that halves height and width."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(c_in, c_out, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(c_out, c_out, 3, padding=1))
        self.skip = spectral_norm(nn.Conv2d(c_in, c_out, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(F.relu(x))))
        return F.avg_pool2d(h + self.skip(x), 2)


class Discriminator(nn.Module):
    """D(x, y) -> (n, 1)."""

    def __init__(self, classes: int = 10, width: int = 32) -> None:
        super().__init__()
        self.block1, self.block2 = Block(1, width), Block(width, 2 * width)
        self.linear = spectral_norm(nn.Linear(2 * width, 1))
        self.embed = spectral_norm(nn.Embedding(classes, 2 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = F.relu(self.block2(self.block1(x))).sum((2, 3))
        return self.linear(h) + (self.embed(y) * h).sum(1, keepdim=True)  # (n, 1)


class Generator(nn.Module):
    def __init__(self, classes: int = 10, z_dim: int = 32, width: int = 32) -> None:
        super().__init__()
        self.z_dim, self.width = z_dim, width
        self.embed = nn.Embedding(classes, z_dim)
        self.fc = nn.Linear(2 * z_dim, 2 * width * 4)
        self.conv4, self.conv8 = nn.Conv2d(2 * width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        x = self.fc(torch.cat([z, self.embed(y)], 1)).view(len(z), 2 * self.width, 2, 2)
        for conv in (self.conv4, self.conv8):
            x = F.relu(conv(F.interpolate(x, scale_factor=2)))
        return torch.tanh(self.out(x))  # (n, 1, 8, 8)


def main(steps: int = 300, batch: int = 64, soft_class: bool = False) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1  # (1797, 1, 8, 8)
    classes = torch.tensor(digits.target)  # (1797,)

    # Mixing, 1 of 2: wrap D, and choose the pairs' law.
    layers = "block2+embed" if soft_class else "pixel,block1,block2"
    D, policy = Mixed(Discriminator(), layers), RealFakePolicy(layers)

    G, hinge = Generator(), GAN_LOSSES["hinge"]
    opt_d = torch.optim.Adam(D.parameters(), lr=4e-4, betas=(0.0, 0.9))
    opt_g = torch.optim.Adam(G.parameters(), lr=4e-4, betas=(0.0, 0.9))
    history = []
    for step in range(steps):
        rows = torch.randint(len(images), (batch,))
        real, y = images[rows], classes[rows]
        y_fake = y[torch.randperm(batch)]  # the real classes in another order: each row finds a partner of its class

        fake = G(torch.randn(batch, G.z_dim), y_fake)
        loss_g = -D(fake, y_fake).mean()
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()

        x, both = torch.cat([real, fake.detach()]), torch.cat([y, y_fake])
        # Mixing, 2 of 2: the plan of this step, mixed rows appended to D's batch, and their loss.
        plan = policy.draw(batch, step, within=None if soft_class else both)
        on_real, on_fake, on_mixed = plan.split(D(x, both, plan=plan, mode="append"))
        mixed = mixed_loss(hinge, on_mixed, plan)

        loss_d = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
        opt_d.zero_grad()
        (loss_d + mixed).backward()
        opt_d.step()
        history.append({"loss_d": loss_d.item(), "loss_g": loss_g.item(), "mixed": mixed.item()})
        if step % 30 == 0 or step == steps - 1:
            print(f"step {step:4d}  " + "  ".join(f"{name} {value:7.3f}" for name, value in history[-1].items()))
    return D, history


if __name__ == "__main__":
    main(soft_class="--soft-class" in sys.argv)
