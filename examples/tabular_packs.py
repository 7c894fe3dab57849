"""A table in the style of CTGAN: a critic that sees packs of ten rows, with dropout, Wasserstein loss and penalty.

The critic joins ten rows to one, so ten mixed rows must be a pack too. `pack=10` draws pairs of packs whose rows share
lam. Run it as: python examples/tabular_packs.py
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmgan import Mixed, MixupTerm, RealFakePolicy

PACK, COLUMNS, CLASSES = 10, 2, 3


class Critic(nn.Module):
    """(n, columns) -> (n / PACK, 1)."""

    def __init__(self, columns: int, width: int = 64) -> None:
        super().__init__()
        self.width = PACK * columns
        self.layers = nn.Sequential(
            nn.Linear(self.width, width),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.5),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Dropout(0.5),
            nn.Linear(width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.view(-1, self.width))


class Generator(nn.Module):
    """z and the wanted category -> two numbers and a soft category."""

    def __init__(self, z_dim: int = 16, width: int = 64) -> None:
        super().__init__()
        self.z_dim = z_dim
        self.layers = nn.Sequential(
            nn.Linear(z_dim + CLASSES, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5)
        )

    def forward(self, z: Tensor, wanted: Tensor) -> Tensor:
        numbers, category = self.layers(torch.cat([z, wanted], 1)).split([COLUMNS, CLASSES], 1)
        return torch.cat([numbers.tanh(), F.gumbel_softmax(category, tau=0.2)], 1)  # (n, COLUMNS + CLASSES)


def table(n: int) -> Tensor:
    """(n, COLUMNS + CLASSES): each category has a cluster of its own."""
    category = torch.randint(CLASSES, (n,))
    centres = torch.tensor([[0.5, 0.5], [-0.5, 0.5], [0.0, -0.5]])
    return torch.cat([centres[category] + 0.1 * torch.randn(n, COLUMNS), F.one_hot(category, CLASSES).float()], 1)


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """10 (||grad|| - 1)^2 between real and fake packs."""
    weight = torch.rand(len(real) // PACK, 1).repeat_interleave(PACK, 0)  # one a pack
    between = (weight * real + (1 - weight) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return 10 * (gradient.view(len(real) // PACK, -1).norm(2, dim=1) - 1).square().mean()


def main(steps: int = 500, batch: int = 200) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    data = table(5000)

    # Mixing, 1 of 2: wrap the critic, and make the term. The table itself is the one layer that still has single rows.
    critic = Mixed(Critic(COLUMNS + 2 * CLASSES), "pixel")
    mixup = MixupTerm(critic, RealFakePolicy("pixel"), loss="wasserstein", pack=PACK)

    G = Generator()
    opt_d = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9), weight_decay=1e-6)
    opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.9), weight_decay=1e-6)
    history = []
    for step in range(steps):
        rows = data[torch.randint(len(data), (batch,))]
        wanted = rows[:, COLUMNS:]
        fake_rows = G(torch.randn(batch, G.z_dim), wanted)
        order = torch.randperm(batch)  # real and fake packs show the same conditions, in another order
        real, fake = torch.cat([rows[order], wanted[order]], 1), torch.cat([fake_rows, wanted], 1).detach()

        loss_d = critic(fake).mean() - critic(real).mean() + gradient_penalty(critic, real, fake)
        # Mixing, 2 of 2: one more term.
        mixed = mixup(real, fake, step=step)
        opt_d.zero_grad()
        (loss_d + mixed).backward()
        opt_d.step()

        fake_rows = G(torch.randn(batch, G.z_dim), wanted)
        condition_loss = -(wanted * (fake_rows[:, COLUMNS:] + 1e-6).log()).sum(1).mean()
        loss_g = -critic(torch.cat([fake_rows, wanted], 1)).mean() + condition_loss
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        history.append({"loss_d": loss_d.item(), "loss_g": loss_g.item(), "mixed": mixed.item()})
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:4d}  " + "  ".join(f"{name} {value:7.3f}" for name, value in history[-1].items()))
    return critic, history


if __name__ == "__main__":
    main()
