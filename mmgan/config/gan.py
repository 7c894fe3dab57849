"""Settings of the GAN trainer. Except for the data, defaults are the paper's for CIFAR-10 (App. E; Miyato 2018)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from mmgan.config.fields import JsonObject, Names, SettingsGroup, setting
from mmgan.config.protocols import CUSTOM, ProtocolName, Resize, follow_protocol
from mmgan.config.shared import DataSettings, DeviceSettings, RunSettings
from mmgan.errors import UserError

WEIGHT = {"least": 0.0, "below": math.inf}
"""The bounds of a regularizer's weight."""


@dataclass(frozen=True)
class GanMixSettings(SettingsGroup):
    """Mixing (Appendix E)"""

    mix: Names = setting(
        Names("none"),
        "layers to mix at, all equally likely: pixel, 1, 2, ... or a submodule's dotted name; none: baseline",
    )
    alpha: float = setting(0.5, "lam ~ Uniform(0, alpha), alpha <= 1; for the beta laws Beta(alpha, alpha)", above=0)
    lam: Literal["uniform", "beta", "folded-beta"] = setting("uniform", "law of lam")
    per: Literal["example", "batch"] = setting("example", "one lam a row, or one a batch")
    pairs: Names = setting(Names("real-fake,fake-real,fake-fake"), "kinds of pairs, all equally likely")
    mix_rule: Literal["linear", "statistics", "cutmix"] = setting(
        "linear", "how two rows are mixed: on the line between them, by channel statistics (FSMR), or by boxes (CutMix)"
    )
    mix_target: Literal["paper", "fake", "consistency"] = setting(
        "paper",
        "of a mixed row: the label y(lam; x1, x2) of the paper, the label fake as in the released code, or the mix of"
        " its two rows' logits",
    )
    mix_weight: float = setting(1.0, "weight of the mixed rows' loss", above=0)
    mix_start: int = setting(0, "generator step at which mixing starts", least=0)
    mix_every: int = setting(1, "mix in every n-th discriminator step", least=1)


@dataclass(frozen=True)
class GanDataSettings(SettingsGroup):
    """Classes and number of images"""

    conditional: bool = setting(
        False, "class-conditional networks: D with a projection of the class, G with class-conditional BatchNorm"
    )
    mix_classes: Literal["within", "embed"] | None = setting(
        None,
        "with --conditional: mix rows of one class alone, or rows of any two and the embeddings of their classes too;"
        " unset: within",
    )
    max_images: int | None = setting(
        None,
        "train on this many images, drawn by the seed and balanced over classes; scores use all; unset: all",
        least=2,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mix_classes is not None and not self.conditional:
            raise UserError(f"--mix-classes {self.mix_classes} needs --conditional: without it D sees no classes")


@dataclass(frozen=True)
class GanNetworkSettings(SettingsGroup):
    """Networks"""

    arch: Literal["resnet", "dcgan"] = setting("resnet", "Miyato et al.'s residual networks, or their DCGAN")
    d_width: int | None = setting(None, "channels of the discriminator's first block; unset: the reference's", least=1)
    g_width: int | None = setting(None, "channels of the generator's base layer; unset: the reference's", least=1)
    latent_dim: int = setting(128, "dimensions of z ~ N(0, I)", least=1)
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


OURS = {
    "generator": ("g_width", "g_shortcuts"),
    "discriminator": ("d_width", "pool", "spectral", "d_shortcuts"),
    "both": ("arch",),
}
"""Whose network -> the settings that have no meaning where somebody's own stands in its place."""


@dataclass(frozen=True)
class OwnNetworkSettings(SettingsGroup):
    """Your own networks (docs/own-networks.md)"""

    generator: str | None = setting(
        None, "FILE.py:NAME or package.module:NAME of a class or function; naming it runs its code; unset: --arch"
    )
    generator_args: JsonObject | None = setting(None, "JSON object of further arguments for it")
    discriminator: str | None = setting(None, "the same for the discriminator; --mix takes the names of its modules")
    discriminator_args: JsonObject | None = setting(None, "JSON object of further arguments for it")
    pick: str | None = setting(
        None, "index, key or attribute that takes the logits from what your discriminator returns"
    )
    passes: Literal["joint", "separate"] = setting(
        "joint", "your discriminator sees real, fake and mixed rows in one forward, or (BatchNorm) each in its own"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, needed in (
            ("generator_args", "generator"),
            ("discriminator_args", "discriminator"),
            ("pick", "discriminator"),
        ):
            if getattr(self, name) is not None and getattr(self, needed) is None:
                raise UserError(f"--{name.replace('_', '-')} needs --{needed}: it concerns your own {needed}")
        if self.passes != "joint" and self.discriminator is None:
            raise UserError("--passes separate needs --discriminator: the rows of mmgan's own never see each other")

    def refuse_settings_of_ours(self, argv: Sequence[str]) -> None:
        """Refuse flags that describe mmgan's own networks where another one is named.

        Raises:
            UserError: naming the first such flag.
        """
        flags = {word.partition("=")[0].replace("_", "-") for word in argv}
        for whose, names in OURS.items():
            roles = ("generator", "discriminator") if whose == "both" else (whose,)
            given = [f"--{name.replace('_', '-')}" for name in names]
            if all(getattr(self, role) for role in roles) and (found := [flag for flag in given if flag in flags]):
                raise UserError(
                    f"{found[0]} describes mmgan's own networks, not what --{roles[0]} names: leave it out, or pass"
                    f" what yours takes by --{roles[0]}-args"
                )


@dataclass(frozen=True)
class GanTrainingSettings(SettingsGroup):
    """Training"""

    loss: Literal["jsgan", "jsgan-saturating", "hinge", "least-squares", "wasserstein", "relativistic"] = setting(
        "jsgan", "GAN loss; jsgan is non-saturating; relativistic compares real and fake rows in pairs (R3GAN)"
    )
    steps: int = setting(50_000, "generator steps", least=1)
    batch_size: int = setting(64, "real images a discriminator step, over all processes together", least=1)
    accumulate: int = setting(
        1, "cut each process's batch into this many slices, whose gradients add up before an update", least=1
    )
    n_dis: int = setting(5, "discriminator steps a generator step", least=1)
    g_batch_factor: int = setting(2, "the generator's batch is this many times --batch-size", least=1)
    lr: float = setting(2e-4, "Adam's learning rate, of both networks", above=0)
    beta1: float = setting(0.0, "Adam's beta1", least=0, below=1)
    beta2: float = setting(0.9, "Adam's beta2", least=0, below=1)
    lr_decay: Literal["linear", "none"] = setting("linear", "the learning rate falls to 0 over --steps, or stays")
    ema: float = setting(
        0.0, "decay of the generator's exponential average, which is sampled and scored; 0: none", least=0, below=1
    )
    clip_grad: float = setting(0.0, "largest norm of a gradient; 0: not clipped", least=0)
    dequantize: bool = setting(True, "add uniform noise of one grey level to real images")


@dataclass(frozen=True)
class GanRegularizerSettings(SettingsGroup):
    """Regularizers of the discriminator, each with its weight; 0: none"""

    r1: float = setting(0.0, "R1, squared gradients at real images (Mescheder et al. 2018: 10)", **WEIGHT)
    r2: float = setting(0.0, "R2, squared gradients at fake images (R3GAN: as R1)", **WEIGHT)
    gradient_penalty: float = setting(
        0.0, "gradient penalty of WGAN-GP, between real and fake images (Gulrajani et al. 2017: 10)", **WEIGHT
    )
    penalty_every: int = setting(
        1, "R1, R2 and gradient penalty in every n-th discriminator step, with n times the weight", least=1
    )
    lecam: float = setting(0.0, "LeCam, for few images (Tseng et al. 2021: 0.3 on CIFAR)", **WEIGHT)
    bcr: float = setting(
        0.0, "consistency of D under shifts of the images, and mirroring with --flip (Zhao et al. 2020: 10)", **WEIGHT
    )
    zcr: float = setting(
        0.0,
        "consistency of D under small changes of z, a tenth of it as G's sensitivity to them (Zhao et al. 2020: 5)",
        **WEIGHT,
    )
    diffaugment: Names = setting(
        Names("none"),
        "augment what D sees, real and fake, differentiably: color, translation, cutout, flip (Zhao et al. 2020:"
        " color,translation,cutout)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty_every > 1 and not (self.r1 or self.r2 or self.gradient_penalty):
            raise UserError(
                f"--penalty-every {self.penalty_every} has no penalty: add --r1, --r2 or --gradient-penalty, or leave"
                " it out"
            )


@dataclass(frozen=True)
class GanScoreSettings(SettingsGroup):
    """Samples and scores"""

    sample_every: int = setting(1000, "generator steps between sample grids; 0: none", least=0)
    score_every: int = setting(10_000, "generator steps between scores; the last step is scored too; 0: none", least=0)
    protocol: ProtocolName = setting(
        CUSTOM, "train-50k, test-10k or miyato-10k-5k decide the next four settings; scores of two do not compare"
    )
    score_samples: int = setting(50_000, "generated images per score", least=2)
    real_split: Literal["train", "test", "held-out"] = setting(
        "train", "real images that are scored against; held-out: those that --holdout sets aside"
    )
    real_images: int | None = setting(
        None, "number of them, the same for every seed, balanced over classes; unset: all", least=2
    )
    is_splits: int = setting(10, "splits of the Inception score", least=1)
    precision_recall: bool = setting(False, "also precision and recall, on the extractor's features")
    density_coverage: bool = setting(False, "also density and coverage")
    fd_infinite: bool = setting(False, "also the Frechet distance extrapolated to infinitely many samples")
    mmd: bool = setting(False, "also the maximum mean discrepancy with a Gaussian kernel, as in CMMD")
    intervals: bool = setting(False, "also 95 % intervals of all scores but IS and KID")
    extractor: str = setting(
        "inception",
        "inception (of FID), vgg16, clip-vit-b-32, dinov2-vit-s-14 (b, l, g), timm:NAME for any model of timm,"
        " classifier: this project's own of the same data (digits, mnist, fashion-mnist), or auto: inception where its"
        " weights are found, else no scores",
    )
    extractor_weights: str | None = setting(
        None, "weights file of the extractor; unset: its library's cache, or a download with --download"
    )
    resize: Resize | None = setting(
        None, "to the extractor's size as TensorFlow 1, as clean-fid or as Pillow; unset: as it is published"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in follow_protocol(self.protocol, given, {f.name: f.default for f in fields(self)}).items():
            object.__setattr__(self, name, value)
        if self.score_every and self.score_samples < self.is_splits:
            raise UserError(
                f"--score-samples {self.score_samples} is fewer than --is-splits {self.is_splits}: each split needs one"
            )


@dataclass(frozen=True)
class GanDiagnosisSettings(SettingsGroup):
    """What training does to the discriminator (docs/diagnosis.md)"""

    diagnose_every: int = setting(
        0, "generator steps between diagnoses of D; the last step is diagnosed too; 0: none", least=0
    )
    holdout: float = setting(
        0.0,
        "share of the training images that is set aside, drawn by the seed before --max-images; with it a diagnosis"
        " tells how far D overfits",
        least=0,
        below=1,
    )


@dataclass(frozen=True)
class GanDeviceSettings(DeviceSettings):
    """Device"""

    cuda_graphs: bool = setting(
        False, "with --compile, on a GPU: replay the compiled networks as CUDA graphs, one launch a graph"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cuda_graphs and not self.compile:
            raise UserError("--cuda-graphs replays what was compiled: add --compile")


@dataclass(frozen=True)
class GanConfig:
    """All settings of the GAN trainer, in the order of `--help`."""

    DEFAULT, PAPER = "configs/gan/digits.yaml", "configs/gan/cifar10.yaml"
    PROGRAM, MARK = "GAN", "n_dis"  # a setting that no other program has
    CODE = ("generator", "discriminator")  # settings that name code to run

    mix: GanMixSettings = field(default_factory=GanMixSettings)
    data: DataSettings = field(default_factory=DataSettings)
    examples: GanDataSettings = field(default_factory=GanDataSettings)
    networks: GanNetworkSettings = field(default_factory=GanNetworkSettings)
    own: OwnNetworkSettings = field(default_factory=OwnNetworkSettings)
    training: GanTrainingSettings = field(default_factory=GanTrainingSettings)
    regularizers: GanRegularizerSettings = field(default_factory=GanRegularizerSettings)
    score: GanScoreSettings = field(default_factory=GanScoreSettings)
    diagnosis: GanDiagnosisSettings = field(default_factory=GanDiagnosisSettings)
    run: RunSettings = field(default_factory=RunSettings)
    device: GanDeviceSettings = field(default_factory=GanDeviceSettings)

    def __post_init__(self) -> None:
        mix = self.mix
        if self.training.loss == "relativistic" and mix.mix != "none" and mix.mix_target != "consistency":
            raise UserError(
                f"--mix-target {mix.mix_target} labels mixed rows, but with --loss relativistic no row has a label: add"
                " --mix-target consistency"
            )
        if self.score.real_split == "held-out" and self.score.score_every and not self.diagnosis.holdout:
            raise UserError("--real-split held-out has no images: set some aside with --holdout 0.1")
