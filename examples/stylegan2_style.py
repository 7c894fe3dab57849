"""A loop in the style of StyleGAN2: a conditional D with minibatch statistics, non-saturating loss and lazy R1.

D's blocks return (x, img) and its last block compares the images of a group, so mixed images must not share a batch
with the others. `MixupTerm` gives them a batch of their own. Run it as: python examples/stylegan2_style.py
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from mmgan import Mixed, MixupTerm, RealFakePolicy

LAYERS = "pixel,b16,b8"


class Block(nn.Module):
    """A block of the "skip" architecture: features and a smaller image go on together."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.from_rgb = nn.Conv2d(1, c_in, 1)
        self.conv0, self.conv1 = nn.Conv2d(c_in, c_in, 3, padding=1), nn.Conv2d(c_in, c_out, 3, padding=1)

    def forward(self, x: Tensor | None, img: Tensor) -> tuple[Tensor, Tensor]:
        y = F.leaky_relu(self.from_rgb(img), 0.2)
        x = y if x is None else x + y
        x = F.leaky_relu(self.conv1(F.leaky_relu(self.conv0(x), 0.2)), 0.2)
        return F.avg_pool2d(x, 2), F.avg_pool2d(img, 2)  # half the height and width


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """One more channel: the mean deviation of a group of images from each other."""
    n, c, h, w = x.shape
    deviation = x.reshape(group, n // group, c, h, w).var(0, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))  # (n/4,)
    return torch.cat([x, deviation.repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w)], 1)  # (n, c + 1, h, w)


class Discriminator(nn.Module):
    """D(img, c) -> (n, 1), with a mapped condition."""

    def __init__(self, classes: int = 10, width: int = 16, map_width: int = 32) -> None:
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(classes, map_width), nn.LeakyReLU(0.2), nn.Linear(map_width, map_width))
        self.b16, self.b8 = Block(width, 2 * width), Block(2 * width, 4 * width)
        self.conv = nn.Conv2d(4 * width + 1, 4 * width, 3, padding=1)
        self.out = nn.Linear(4 * width * 16, map_width)

    def forward(self, img: Tensor, c: Tensor) -> Tensor:
        x, img = self.b16(None, img)
        x, _ = self.b8(x, img)
        x = F.leaky_relu(self.conv(minibatch_deviation(x)), 0.2).flatten(1)
        mapped = self.mapping(c)
        mapped = mapped * mapped.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        return (self.out(x) * mapped).sum(1, keepdim=True) / mapped.shape[1] ** 0.5  # (n, 1)


class Generator(nn.Module):
    def __init__(self, classes: int = 10, z_dim: int = 32, width: int = 16) -> None:
        super().__init__()
        self.z_dim, self.width = z_dim, width
        self.fc = nn.Linear(z_dim + classes, 4 * width * 16)
        self.conv8 = nn.Conv2d(4 * width, 2 * width, 3, padding=1)
        self.conv16 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.to_rgb = nn.Conv2d(width, 1, 1)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        x = self.fc(torch.cat([z, c], 1)).view(len(z), 4 * self.width, 4, 4)
        for conv in (self.conv8, self.conv16):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2)), 0.2)
        return torch.tanh(self.to_rgb(x))  # (n, 1, 16, 16)


def main(steps: int = 200, batch: int = 32, r1_every: int = 16, gamma: float = 1.0) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    images = F.interpolate(images, scale_factor=2, mode="bilinear")  # (1797, 1, 16, 16)
    conditions = F.one_hot(torch.tensor(digits.target), 10).float()  # (1797, 10)

    # Mixing, 1 of 2: wrap D, and make the term. D is called as before.
    D = Mixed(Discriminator(), LAYERS)
    mixup = MixupTerm(D, RealFakePolicy(LAYERS), loss="jsgan")

    G = Generator()
    opt_d = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.99))
    opt_g = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.0, 0.99))
    history = []
    for step in range(steps):
        rows, fake_rows = torch.randint(len(images), (2, batch))
        real, c, c_fake = images[rows], conditions[rows], conditions[fake_rows]

        fake = G(torch.randn(batch, G.z_dim), c_fake)
        loss_g = F.softplus(-D(fake, c_fake)).mean()
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()

        fake = fake.detach()
        loss_d = F.softplus(-D(real, c)).mean() + F.softplus(D(fake, c_fake)).mean()
        # Mixing, 2 of 2: one more term. The conditions of real and fake images are mixed as the images are.
        mixed = mixup(real, fake, step=step, c=torch.cat([c, c_fake]))
        opt_d.zero_grad()
        (loss_d + mixed).backward()
        opt_d.step()

        if step % r1_every == 0:
            x = real.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(D(x, c).sum(), x, create_graph=True)
            opt_d.zero_grad()
            (gamma / 2 * r1_every * gradient.square().sum((1, 2, 3)).mean()).backward()
            opt_d.step()
        history.append({"loss_d": loss_d.item(), "loss_g": loss_g.item(), "mixed": mixed.item()})
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:4d}  " + "  ".join(f"{name} {value:7.3f}" for name, value in history[-1].items()))
    return D, history


if __name__ == "__main__":
    main()
