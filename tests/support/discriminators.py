"""Stand-ins for the discriminators and classifiers that people train: same signature, output, normalisation and trap.

Each is written here from the description of the project's forward; the name says which. Images are 3x8x8 unless said.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint

W = 4
"""Channels."""


def conv(a: int, b: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(a, b, 3, stride, 1)


class Residual(nn.Module):
    """mimicry: the branch begins with a ReLU in place, so it changes what was tapped before it."""

    def __init__(self, a: int = W, norm: type[nn.Module] | None = None) -> None:
        super().__init__()
        self.c1, self.c2, self.act = spectral_norm(conv(a, a)), spectral_norm(conv(a, a)), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.c2(self.act(self.c1(self.act(x.clone())))) + x


class InPlace(nn.Module):
    """A plain chain whose activations work in place on tapped values."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.body, self.head = conv(3, W, 2), nn.ReLU(inplace=True), Residual(), nn.Linear(W, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.act(self.first(x))).sum((2, 3)))  # (n, 1)


class Projection(nn.Module):
    """cGAN with projection: D(x, y) -> (n, 1); the embedding meets the features at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.block1, self.block2, self.embed, self.head = conv(3, W, 2), Residual(), nn.Embedding(3, W), nn.Linear(W, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.block2(F.leaky_relu(self.block1(x))).sum((2, 3))  # (n, c)
        return self.head(h) + (self.embed(y) * h).sum(1, keepdim=True)


class ConditionalFirst(nn.Module):
    """The class enters a gain of the first block and is read again by the head: no single layer holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.block1, self.gain, self.block2 = conv(3, W, 2), nn.Linear(5, W), conv(W, W)
        self.head, self.last = nn.Linear(W, 1), nn.Linear(5, W)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        h = F.silu(self.block1(x) * (1 + self.gain(c))[:, :, None, None])
        h = self.block2(h).mean((2, 3))
        return (self.head(h) + (self.last(c) * h).sum(1, keepdim=True)).squeeze(1)  # (n,)


class MinibatchStd(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        groups = x.view(min(4, n), -1, *x.shape[1:])  # (g, n/g, c, h, w)
        std = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # (n/g,)
        return torch.cat([x, std.repeat(len(groups)).view(n, 1, 1, 1).expand(n, 1, h, w)], 1)


class StyleBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.from_rgb, self.conv = nn.Conv2d(3, W, 1), conv(W, W, 2)

    def forward(self, x: Tensor | None, img: Tensor) -> tuple[Tensor, Tensor]:
        y = self.from_rgb(img)
        y = y if x is None else x + y
        return F.leaky_relu(self.conv(y)), F.avg_pool2d(img, 2)


class StyleGAN2(nn.Module):
    """Blocks return (x, img); minibatch standard deviation; projection on a mapped condition."""

    def __init__(self) -> None:
        super().__init__()
        self.b8, self.b4, self.map = StyleBlock(), StyleBlock(), nn.Linear(5, W)
        self.std, self.conv, self.out = MinibatchStd(), conv(W + 1, W), nn.Linear(W * 4, W)

    def forward(self, img: Tensor, c: Tensor) -> Tensor:
        x, img = self.b8(None, img)
        x, img = self.b4(x, img)
        x = self.out(self.conv(self.std(x)).flatten(1))
        return (x * self.map(c)).sum(1, keepdim=True)  # (n, 1)


class HeadsByLabel(nn.Module):
    """StudioGAN's multi-head discriminator: one column a class, picked by the label, in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.heads = conv(3, W, 2), nn.Linear(W, 3)

    def forward(self, x: Tensor, label: Tensor, eval: bool = False) -> dict[str, Any]:
        h = F.relu(self.body(x)).sum((2, 3))
        logits = self.heads(h)  # (n, classes)
        return {"adv_output": logits[torch.arange(len(label)), label], "label": label, "h": None}


class TwoHeads(nn.Module):
    """lightweight-gan: a second head reads a small copy of the input; an auxiliary loss is a scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.small = conv(3, W, 2), nn.Linear(W, 1), nn.Linear(3 * 16, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.head(F.relu(self.body(x)).mean((2, 3))).squeeze(1)
        return out, self.small(F.avg_pool2d(x, 2).flatten(1)).squeeze(1), out.square().mean()


class Scales(nn.Module):
    """gigagan: rows become scales x batch inside, and come out scale by scale."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = conv(3, W), nn.Linear(W, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([x, F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0)])  # (2n, c, h, w)
        return self.head(self.body(both).mean((2, 3))).squeeze(1)


class Patch(nn.Sequential):
    """pix2pix, taming: a map of logits; BatchNorm, InstanceNorm or GroupNorm."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__(
            OrderedDict(first=conv(3, W, 2), act=nn.LeakyReLU(0.2, True), second=conv(W, W), norm=norm, last=conv(W, 1))
        )


class ConditionalPatch(nn.Module):
    """pix2pix with the condition as an input of its own: it is joined to the image at once."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(conv(6, W, 2), nn.InstanceNorm2d(W), nn.LeakyReLU(0.2), conv(W, 1))

    def forward(self, condition: Tensor, x: Tensor) -> Tensor:
        return self.net(torch.cat([condition, x], 1))


class GroupStatistics(nn.Module):
    """stylegan-t: frozen features without gradients, and a norm over virtual batches of 2 neighbouring rows."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = conv(3, W, 2), nn.Conv1d(W, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x).flatten(2)  # (n, c, tokens)
        pairs = h.reshape(-1, 2, *h.shape[1:])
        pairs = (pairs - pairs.mean((1, 3), keepdim=True)) / (pairs.std((1, 3), keepdim=True) + 1e-5)
        return self.head(pairs.reshape(h.shape)).flatten(1)  # (n, tokens)


class ManySideInputs(nn.Module):
    """LADD: a time step, a text embedding, and a table that belongs to all rows; (n, tokens)."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.time, self.text, self.head = nn.Linear(6, W), nn.Linear(1, W), nn.Linear(5, W), nn.Linear(W, 1)

    def forward(self, hidden_states: Tensor, timestep: Tensor, conditions: dict[str, Tensor], table: Tensor) -> Tensor:
        h = self.block(hidden_states) + table[0, :W]  # (n, tokens, c)
        h = torch.tanh(h) + self.time(timestep[:, None])[:, None] + self.text(conditions["text"])[:, None]
        return self.head(torch.tanh(h)).squeeze(2)


class Period(nn.Module):
    """hifi-gan's DiscriminatorP on (n, 1, t): folded to 2-D, weight norm, (logits, feature maps)."""

    def __init__(self, period: int = 2) -> None:
        super().__init__()
        self.period = period
        self.convs = nn.ModuleList([weight_norm(nn.Conv2d(1, W, (3, 1))), weight_norm(nn.Conv2d(W, W, (3, 1)))])
        self.last = weight_norm(nn.Conv2d(W, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        b, c, t = x.shape
        h, maps = x.view(b, c, t // self.period, self.period), []
        for layer in self.convs:
            h = F.leaky_relu(layer(h), 0.1)
            maps.append(h)
        return self.last(h).flatten(1), maps


class BothInOne(nn.Module):
    """A multi-period discriminator that takes real and fake in one call and parts them inside."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv1d(1, W, 3), nn.Linear(W, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        real, fake = self.head(self.body(x).mean(2)).chunk(2)
        return real, fake


class RowsFromTheInput(nn.Module):
    """A view with the batch size that the input had."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.act = conv(3, W, 2), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        b = x.shape[0]
        return self.act(self.body(x)).reshape(b, -1).sum(1)


class Spectrogram(nn.Module):
    """descript-audio-codec: a list of lists, logits last."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv1d(1, W, 3), nn.Conv1d(W, W, 3), nn.Conv1d(W, 1, 3)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        first = F.leaky_relu(self.a(x))
        second = F.leaky_relu(self.b(first))
        return [[first, second, self.c(second)]]


class UNet(nn.Module):
    """Real-ESRGAN, U-Net GAN: an encoder-decoder with skips; (bottleneck, map)."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2, self.mid = conv(3, W), conv(W, W, 2), conv(W, W, 2)
        self.up1, self.up2, self.score = conv(W, W), conv(W, W), nn.Linear(W, 1)
        self.last = conv(W, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = F.leaky_relu(self.down1(x))
        b = F.leaky_relu(self.down2(a))
        m = F.leaky_relu(self.mid(b))
        h = F.interpolate(self.up1(m), scale_factor=2.0) + b
        h = F.interpolate(self.up2(h), scale_factor=2.0) + a
        return self.score(m.mean((2, 3))), self.last(h)


class Packs(nn.Module):
    """CTGAN's critic: `pac` rows are joined to one, dropout inside; (n / pac, 1)."""

    def __init__(self, pac: int = 2) -> None:
        super().__init__()
        self.pac = pac
        self.seq = nn.Sequential(nn.Linear(6 * pac, 8), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x.view(-1, x.shape[1] * self.pac))


class MultiScale(nn.Module):
    """MONAI: one patch discriminator a scale; (list of logits, list of lists of features)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Patch(nn.GroupNorm(2, W)), Patch(nn.GroupNorm(2, W))

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        small = F.avg_pool2d(x, 2)
        return [self.one(x), self.two(small)], [[x], [small]]


class ViTBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attn, self.mlp = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        return x + self.mlp(x)


@dataclass
class ImageOutput:
    """Hugging Face: an output object."""

    logits: Tensor
    hidden_states: tuple[Tensor, ...] | None = None


class ViT(nn.Module):
    """Hugging Face's ViT: called by keyword, yields an object."""

    def __init__(self, recompute: bool = False) -> None:
        super().__init__()
        self.embeddings, self.block, self.block2, self.head = (
            nn.Conv2d(3, 8, 4, 4),
            ViTBlock(),
            ViTBlock(),
            nn.Linear(8, 3),
        )
        self.recompute = recompute

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None) -> ImageOutput:
        h = self.embeddings(pixel_values).flatten(2).transpose(1, 2)  # (n, tokens, c)
        h = checkpoint(self.block, h, use_reentrant=False) if self.recompute else self.block(h)
        return ImageOutput(self.head(self.block2(h).mean(1)))


class TimeFirst(nn.Module):
    """nn.Transformer's default: (time, batch, features) in, logits (batch, classes) out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.TransformerEncoderLayer(6, 2, 8, 0.0), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).mean(0))


class Recurrent(nn.Module):
    """An LSTM whose last hidden state is read, not its outputs."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 5, batch_first=batch_first), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


class Tokens(nn.Module):
    """Token ids in."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body, self.head = nn.Embedding(11, 6), nn.Linear(6, 6), nn.Linear(6, 1)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.body(self.embed(ids))).mean(1))


class Gated(nn.Module):
    """A path behind a gate that is zero at initialisation: attention over the batch, or a skip around the body."""

    def __init__(self, over: str) -> None:
        super().__init__()
        self.over, self.gate, self.body, self.head = over, nn.Parameter(torch.zeros(1)), conv(3, W, 2), nn.Linear(W, 1)
        self.skip = nn.Linear(3, W)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.body(x).mean((2, 3)))  # (n, c)
        hidden = torch.softmax(h @ h.T, 1) @ h if self.over == "batch" else self.skip(x.mean((2, 3)))
        return self.head(h + self.gate * hidden)


class Unseen(nn.Module):
    """Statistics of the batch under no_grad: no gradient tells."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = conv(3, W, 2), nn.Linear(W, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x).mean((2, 3))
        with torch.no_grad():
            scale = 1 / (h.std(0, keepdim=True) + 1)
        return self.head(h * scale)


class ActNorm(nn.Module):
    """Sets its scale by the first batch that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, W, 1, 1))
        self.register_buffer("initialised", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        if not self.initialised:
            self.scale.data.copy_(1 / (x.detach().std((0, 2, 3), keepdim=True) + 1e-6))
            self.initialised.fill_(1)
        return x * self.scale


def chain(*modules: nn.Module) -> nn.Sequential:
    names = ["first", "act", "second", "norm", "last"]
    return nn.Sequential(OrderedDict(zip(names, modules, strict=False)))


def hook_spectral() -> nn.Module:
    """The old spectral norm, whose weight is an attribute that a hook sets."""
    wrap = torch.nn.utils.spectral_norm
    return chain(wrap(conv(3, W, 2)), nn.ReLU(), wrap(conv(W, 1)))


def with_dropout() -> nn.Module:
    return chain(conv(3, W, 2), nn.Dropout(0.3), conv(W, 1))


def with_act_norm() -> nn.Module:
    return chain(conv(3, W, 2), ActNorm(), conv(W, 1))
