"""A VQ autoencoder with a PatchGAN and the adaptive weight, in the style of VQGAN.

D returns a map of logits and has BatchNorm, so its batches should hold one kind of rows. `MixupTerm` gives the mixed
rows a batch of their own, and labels each position of the map. Run it as: python examples/patchgan_vq.py
"""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from mmgan import Mixed, MixupTerm, RealFakePolicy

LAYERS = "pixel,main.1,main.4"


class PatchDiscriminator(nn.Module):
    """(n, 1, 16, 16) -> (n, 1, 3, 3): real or fake, patch by patch."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1),  # 0
            nn.LeakyReLU(0.2, inplace=True),  # 1
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False),  # 2
            nn.BatchNorm2d(2 * width),  # 3
            nn.LeakyReLU(0.2, inplace=True),  # 4
            nn.Conv2d(2 * width, 1, 4, 1, 1),  # 5
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x)


class Autoencoder(nn.Module):
    """Encoder, codebook and decoder. Returns the reconstruction and the codebook's loss."""

    def __init__(self, codes: int = 32, dim: int = 8, width: int = 32) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, width, 4, 2, 1), nn.ReLU(), nn.Conv2d(width, dim, 4, 2, 1))
        self.codebook = nn.Embedding(codes, dim)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(dim, width, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(width, 1, 4, 2, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.encoder(x).movedim(1, -1)  # (n, 4, 4, dim)
        nearest = torch.cdist(h.flatten(0, 2), self.codebook.weight).argmin(1)
        q = self.codebook(nearest).view_as(h)
        loss = (q - h.detach()).square().mean() + 0.25 * (q.detach() - h).square().mean()
        return self.decoder((h + (q - h).detach()).movedim(-1, 1)), loss  # (n, 1, 16, 16), ()


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """The ratio of the two losses' gradients at the decoder's last layer."""
    (by_reconstruction,) = torch.autograd.grad(reconstruction, last, retain_graph=True)
    (by_adversary,) = torch.autograd.grad(adversarial, last, retain_graph=True)
    return (by_reconstruction.norm() / (by_adversary.norm() + 1e-4)).clamp(0, 1e4).detach()


def main(steps: int = 300, batch: int = 32, disc_start: int = 30) -> tuple[nn.Module, list[dict]]:
    torch.manual_seed(0)
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    images = F.interpolate(images, scale_factor=2, mode="bilinear")  # (1797, 1, 16, 16)

    # Mixing, 1 of 2: wrap D, and make the term. D is called as before.
    D = Mixed(PatchDiscriminator(), LAYERS)
    mixup = MixupTerm(D, RealFakePolicy(LAYERS), loss="hinge")

    model = Autoencoder()
    opt_ae = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.9))
    opt_d = torch.optim.Adam(D.parameters(), lr=5e-4, betas=(0.5, 0.9))
    history = []
    for step in range(steps):
        real = images[torch.randint(len(images), (batch,))]
        factor = float(step >= disc_start)

        fake, codebook_loss = model(real)
        reconstruction = (fake - real).abs().mean()
        loss_g = -D(fake).mean()
        weight = adaptive_weight(reconstruction, loss_g, model.decoder[-1].weight)
        opt_ae.zero_grad()
        (reconstruction + codebook_loss + factor * weight * loss_g).backward()
        opt_ae.step()

        fake = fake.detach()
        loss_d = 0.5 * (F.relu(1 - D(real)).mean() + F.relu(1 + D(fake)).mean())
        # Mixing, 2 of 2: one more term.
        mixed = 0.5 * mixup(real, fake, step=step)
        opt_d.zero_grad()
        (factor * (loss_d + mixed)).backward()
        opt_d.step()
        history.append({"loss_d": loss_d.item(), "reconstruction": reconstruction.item(), "mixed": mixed.item()})
        if step % 30 == 0 or step == steps - 1:
            print(f"step {step:4d}  " + "  ".join(f"{name} {value:7.3f}" for name, value in history[-1].items()))
    return D, history


if __name__ == "__main__":
    main()
