"""Settings of the GAN trainer. Except for the data, defaults are the paper's for CIFAR-10 (App. E; Miyato 2018)."""

from dataclasses import dataclass, field
from typing import Literal

from mmgan.config.fields import Names, check_range, setting
from mmgan.config.shared import DataSettings, DeviceSettings, RunSettings
from mmgan.errors import UserError


@dataclass(frozen=True)
class GanMixSettings:
    """Mixing (Appendix E)"""

    mix: Names = setting(
        Names("none"),
        "layers to mix at, all equally likely: pixel, 1, 2, ... or a submodule's dotted name; none: baseline",
    )
    alpha: float = setting(0.5, "lam ~ Uniform(0, alpha), 0 < alpha <= 1; for the beta laws Beta(alpha, alpha)")
    lam: Literal["uniform", "beta", "folded-beta"] = setting("uniform", "law of lam")
    per: Literal["example", "batch"] = setting("example", "one lam a row, or one a batch")
    pairs: Names = setting(Names("real-fake,fake-real,fake-fake"), "kinds of pairs, all equally likely")
    mix_label: Literal["paper", "fake"] = setting(
        "paper", "label of a mixed row: y(lam; x1, x2) of the paper, or always fake as in the released code"
    )
    mix_weight: float = setting(1.0, "weight of the mixed rows' loss")
    mix_start: int = setting(0, "generator step at which mixing starts")
    mix_every: int = setting(1, "mix in every n-th discriminator step")

    def __post_init__(self) -> None:
        check_range(self, above=0, names=["alpha", "mix_weight"])
        check_range(self, least=0, names=["mix_start"])
        check_range(self, least=1, names=["mix_every"])


@dataclass(frozen=True)
class GanNetworkSettings:
    """Networks"""

    arch: Literal["resnet", "dcgan"] = setting("resnet", "Miyato et al.'s residual networks, or their DCGAN")
    d_width: int | None = setting(None, "channels of the discriminator's first block; unset: the reference's")
    g_width: int | None = setting(None, "channels of the generator's base layer; unset: the reference's")
    latent_dim: int = setting(128, "dimensions of z ~ N(0, I)")
    pool: Literal["sum", "mean"] = setting("sum", "pooling before the discriminator's last layer")
    spectral: Literal["all", "partial", "none"] = setting(
        "all", "discriminator weights under spectral normalisation; partial: not its size-keeping shortcuts"
    )
    d_shortcuts: Literal["needed", "all"] = setting(
        "needed", "1x1 convolutions in D's shortcuts: where needed, or in all"
    )
    g_shortcuts: Literal["learned", "nearest"] = setting(
        "learned", "G's shortcuts: 1x1 convolutions, or upsampling alone"
    )

    def __post_init__(self) -> None:
        check_range(self, least=1, names=["d_width", "g_width", "latent_dim"])


@dataclass(frozen=True)
class GanTrainingSettings:
    """Training"""

    loss: Literal["jsgan", "jsgan-saturating", "hinge", "least-squares", "wasserstein"] = setting(
        "jsgan", "GAN loss; jsgan is non-saturating"
    )
    steps: int = setting(50_000, "generator steps")
    batch_size: int = setting(64, "real images a discriminator step, over all processes together")
    n_dis: int = setting(5, "discriminator steps a generator step")
    g_batch_factor: int = setting(2, "the generator's batch is this many times --batch-size")
    lr: float = setting(2e-4, "Adam's learning rate, of both networks")
    beta1: float = setting(0.0, "Adam's beta1")
    beta2: float = setting(0.9, "Adam's beta2")
    lr_decay: Literal["linear", "none"] = setting("linear", "the learning rate falls to 0 over --steps, or stays")
    ema: float = setting(
        0.0, "decay of the generator's exponential average, which is then sampled and scored; 0: no average"
    )
    clip_grad: float = setting(0.0, "largest norm of a gradient; 0: not clipped")
    dequantize: bool = setting(True, "add uniform noise of one grey level to real images")

    def __post_init__(self) -> None:
        check_range(self, least=1, names=["steps", "batch_size", "n_dis", "g_batch_factor"])
        check_range(self, above=0, names=["lr"])
        check_range(self, least=0, names=["beta1", "beta2", "ema", "clip_grad"])
        for name in ("beta1", "beta2", "ema"):
            if getattr(self, name) >= 1:
                raise UserError(f"--{name} {getattr(self, name)} is out of range: it must be below 1")


@dataclass(frozen=True)
class GanScoreSettings:
    """Samples and scores"""

    sample_every: int = setting(1000, "generator steps between sample grids; 0: none")
    score_every: int = setting(10_000, "generator steps between scores; the last step is scored too; 0: no scores")
    score_samples: int = setting(50_000, "generated images per score")
    real_split: Literal["train", "test"] = setting("train", "real images that are scored against")
    is_splits: int = setting(10, "splits of the Inception score")
    precision_recall: bool = setting(False, "also precision and recall, on the extractor's features")
    extractor: Literal["inception", "classifier"] = setting(
        "inception",
        "the FID Inception, or this project's own classifier of the same data (digits, mnist, fashion-mnist)",
    )
    inception_weights: str | None = setting(
        None, "weights file of the FID Inception; unset: torch-fidelity's cache, or a download with --download"
    )

    def __post_init__(self) -> None:
        check_range(self, least=0, names=["sample_every", "score_every"])
        check_range(self, least=1, names=["is_splits"])
        check_range(self, least=2, names=["score_samples"])
        if self.score_every and self.score_samples < self.is_splits:
            raise UserError(
                f"--score-samples {self.score_samples} is fewer than --is-splits {self.is_splits}: each split needs one"
            )


@dataclass(frozen=True)
class GanConfig:
    """All settings of the GAN trainer, in the order of `--help`."""

    mix: GanMixSettings = field(default_factory=GanMixSettings)
    data: DataSettings = field(default_factory=DataSettings)
    networks: GanNetworkSettings = field(default_factory=GanNetworkSettings)
    training: GanTrainingSettings = field(default_factory=GanTrainingSettings)
    score: GanScoreSettings = field(default_factory=GanScoreSettings)
    run: RunSettings = field(default_factory=RunSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)
