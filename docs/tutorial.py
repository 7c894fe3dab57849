# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tutorial: mixing in a loop of your own
#
# You have a GAN and a training loop. This page adds Manifold Mixup to it in one line, scores both versions, and looks
# at what changed in the discriminator. Everything runs on scikit-learn's digits, on one CPU core, in seconds. The
# site's build executes this page, and a test does too.
#
# ## A loop without mixing
#
# The networks and the loop are plain PyTorch. Nothing here knows about mmgan, except that it provides the images.

# %%
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from torch import nn

from mmgan.data import hold_out, load_images, to_float

torch.set_num_threads(1)
images, held_out = hold_out(load_images("digits", "data", image_size=8), 0.2, seed=0)
real_images = to_float(images.pixels)  # (n, 1, 8, 8) in [-1, 1]
print(f"{len(images)} images to train on, {len(held_out)} held out")


# %%
class Generator(nn.Module):
    """z (n, 32) -> images (n, 1, 8, 8) in [-1, 1]."""

    def __init__(self):
        super().__init__()
        self.start = nn.Linear(32, 32 * 4 * 4)
        self.up = nn.Sequential(nn.BatchNorm2d(32), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Tanh())

    def forward(self, z):
        return self.up(self.start(z).view(-1, 32, 4, 4))


class Discriminator(nn.Module):
    """Images (n, 1, 8, 8) -> logits (n, 1)."""

    def __init__(self):
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.block1 = nn.Sequential(norm(nn.Conv2d(1, 16, 3, 1, 1)), nn.LeakyReLU(0.1))
        self.block2 = nn.Sequential(norm(nn.Conv2d(16, 32, 4, 2, 1)), nn.LeakyReLU(0.1))
        self.head = norm(nn.Linear(32 * 4 * 4, 1))

    def forward(self, x):
        return self.head(self.block2(self.block1(x)).flatten(1))


# %% [markdown]
# The loop takes one optional argument, `extra`. It is a term that is added to the discriminator's loss. We use it in a
# moment.


# %%
def train(seed, make_extra=None, steps=120, batch=32):
    torch.manual_seed(seed)
    g, d = Generator(), Discriminator()
    extra = make_extra(d) if make_extra else None
    optimizer_g = torch.optim.Adam(g.parameters(), 2e-3, betas=(0.5, 0.9))
    optimizer_d = torch.optim.Adam(d.parameters(), 2e-3, betas=(0.5, 0.9))
    for step in range(steps):
        real = real_images[torch.randint(len(real_images), (batch,))]
        fake = g(torch.randn(batch, 32))
        loss_d = F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()
        if extra is not None:
            loss_d = loss_d + extra(real, fake.detach(), step=step)  # the line that mixes
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        loss_g = F.softplus(-d(fake)).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
    return g, d


plain_g, plain_d = train(seed=0)

# %% [markdown]
# ## The loop with mixing
#
# `Mixed` wraps the discriminator without editing it. `MixupTerm` draws pairs of rows, mixes them at one of the layers,
# and returns the loss of the mixed rows. Each step mixes at the pixels, after `block1` or after `block2`, all equally
# likely.

# %%
from mmgan import Mixed, MixupTerm, RealFakePolicy  # noqa: E402

LAYERS = "pixel,block1,block2"


def mixup(d):
    return MixupTerm(Mixed(d, LAYERS), RealFakePolicy(LAYERS, alpha=0.5), loss="jsgan")


mixed_g, mixed_d = train(seed=0, make_extra=mixup)

# %% [markdown]
# Which layers does a network offer? `inspect` lists its cuts, with the share of the arithmetic that lies before each.
# Mixing late costs little.

# %%
print(Mixed(Discriminator(), "none").inspect(real_images[:8]).only_cuts())


# %% [markdown]
# Sixteen samples of each:


# %%
def sample(g, n, seed=1):
    z = torch.randn(n, 32, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return g.eval()(z)


figure, axes = plt.subplots(2, 16, figsize=(8, 1.4), layout="constrained")
for row, g in zip(axes, (plain_g, mixed_g), strict=True):
    for ax, image in zip(row, sample(g, 16), strict=True):
        ax.imshow(image[0].numpy(), cmap="gray")
        ax.axis("off")
axes[0, 0].set_title("without mixing", loc="left", fontsize=8)
axes[1, 0].set_title("with mixing", loc="left", fontsize=8)

# %% [markdown]
# ## Scores
#
# A Frechet distance compares the features of samples with those of real images. Any network may give the features. Here
# a small classifier of digits does, trained on the spot. So the numbers compare with nothing outside of this page. On
# natural images, `mmgan score` uses the FID Inception: see [Scores that compare](scores.md).

# %%
from mmgan.scoring import frechet_distance, moments  # noqa: E402

torch.manual_seed(0)
judge = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(judge.parameters(), 3e-3)
for _ in range(300):
    rows = torch.randint(len(images), (128,))
    loss = F.cross_entropy(judge(real_images[rows]), images.labels[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def features(x):
    with torch.no_grad():
        return judge[:-1](x)  # (n, 32)


real_moments = moments(features(to_float(held_out.pixels)))


def score(g):
    return frechet_distance(moments(features(sample(g, 2000))), real_moments)


print(f"without mixing {score(plain_g):.2f}, with mixing {score(mixed_g):.2f}")

# %% [markdown]
# One run of each says little: another seed gives another order. Compare over paired seeds, and report the interval.

# %%
from mmgan.analysis.seeds import paired_difference  # noqa: E402

plain = [score(plain_g)] + [score(train(seed)[0]) for seed in (1, 2)]
mixed = [score(mixed_g)] + [score(train(seed, mixup)[0]) for seed in (1, 2)]
d = paired_difference(mixed, plain)
print(f"difference {d.mean:+.2f}, 95 % interval [{d.low:+.2f}, {d.high:+.2f}], n = {d.n}")

# %% [markdown]
# If the interval contains 0, three seeds do not decide which version is better. `mmgan.analysis.power.pairs_needed`
# computes how many seeds would. [The paper, experiment by experiment](reproduction/index.md) has comparisons over more
# seeds, agreements and disagreements alike.
#
# ## What changed in the discriminator
#
# The diagnosis looks at D itself: its logits on training images, held-out images and fakes; its values on the way from
# a fake to a real image, at each layer; and its gradient. [Diagnose a discriminator](diagnosis.md) explains each panel.

# %%
import io  # noqa: E402

from mmgan.gan.diagnoser import Diagnoser  # noqa: E402
from mmgan.report.diagnosis import diagnosis_line  # noqa: E402
from mmgan.report.diagnosis_picture import diagnosis_picture  # noqa: E402

diagnoser = Diagnoser(
    train=images, held_out=held_out, conditional=False, mixed=tuple(LAYERS.split(",")), latent_dim=32, chunk=64, seed=0,
    device=torch.device("cpu"),
)  # fmt: skip
for name, g, discriminator in (("without mixing", plain_g, plain_d), ("with mixing", mixed_g, mixed_d)):
    entry = diagnoser.entry(g, discriminator.eval().requires_grad_(False), step=120)
    print(f"{name}\n{diagnosis_line(entry)}\n")
    figure, ax = plt.subplots(figsize=(8, 5.3), layout="constrained")
    ax.imshow(plt.imread(io.BytesIO(diagnosis_picture(entry))))
    ax.set_title(name, fontsize=9)
    ax.axis("off")

# %% [markdown]
# ## Where to go from here
#
# * The trainer does all of this by flags, on one GPU or many, and survives kills: `accelerate launch mmgan/train_gan.py
#   --data folder:photos --mix 1,2,pixel`. See [Your images](how-to/images.md).
# * A loop that stacks real and fake rows can take the mixed rows in the same forward, which is cheaper: see
#   [Why appended rows are free](explanation/append.md).
# * Your discriminator returns maps or lists, takes a class, or has BatchNorm: see [Your discriminator](networks.md).
