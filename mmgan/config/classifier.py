"""Settings of the classifier trainer. Except for the data, defaults are the paper's for CIFAR-10 (Sec. 5.1, App. C)."""

from dataclasses import dataclass, field
from typing import Literal

from mmgan.config.fields import Levels, Names, SettingsGroup, setting
from mmgan.config.shared import DataSettings, DeviceSettings, RunSettings
from mmgan.errors import UserError


@dataclass(frozen=True)
class ClassifierMixSettings(SettingsGroup):
    """Mixing (Section 2)"""

    mix: Names = setting(
        Names("none"),
        "layers to mix at, all equally likely: pixel, 1, 2, ... or a submodule's dotted name; none: baseline",
    )
    alpha: float = setting(2.0, "lam ~ Beta(alpha, alpha)", above=0)
    lam: Literal["beta", "uniform", "folded-beta", "adamix"] = setting(
        "beta",
        "law of lam; uniform: U(0, alpha), alpha <= 1; adamix: U(a, a + d), learned for each pair (AdaMix), without"
        " --alpha and --per",
    )
    adamix_hidden: bool = setting(
        False, "let --lam adamix mix at hidden layers, where its authors report that it degrades"
    )
    per: Literal["batch", "example"] = setting("batch", "one lam a batch, or one a row")
    layer_per: Literal["batch", "example"] = setting("batch", "one layer a batch, or one a row")
    detach: bool = setting(False, "stop the gradient before the mixed layer (the ablation of Section 5.1)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lam != "adamix":
            if self.adamix_hidden:
                raise UserError("--adamix-hidden needs --lam adamix, which it lets mix at hidden layers")
            return
        hidden = [name for name in self.mix.items if name not in ("pixel", "none")]
        if self.mix == "none":
            raise UserError("--lam adamix mixes the input: choose --mix pixel")
        if hidden and not self.adamix_hidden:
            raise UserError(
                f"--lam adamix mixes the input alone, and --mix names '{hidden[0]}', where its authors report that it"
                " degrades: choose --mix pixel, or ask for it with --adamix-hidden"
            )
        if self.layer_per == "example":
            raise UserError("--lam adamix draws one layer a batch: choose --layer-per batch")

    @property
    def is_adamix(self) -> bool:
        """Whether lam is learned."""
        return self.lam == "adamix"


@dataclass(frozen=True)
class ClassifierDataSettings(SettingsGroup):
    """Validation and augmentation"""

    train_images: int | None = setting(
        None, "number of training images, drawn by the seed from those not held out; unset: all", least=1
    )
    validation: int = setting(
        5000, "training images held out by the seed to choose the best epoch on, 1 or more", least=1
    )
    crop_padding: int = setting(0, "pixels of black around an image before a random crop at its own size", least=0)
    cutout: int = setting(0, "side in pixels of a grey square put at a random place of each image; 0: none", least=0)


@dataclass(frozen=True)
class ClassifierNetworkSettings(SettingsGroup):
    """Network"""

    arch: Literal[
        "preactresnet18",
        "preactresnet34",
        "preactresnet50",
        "preactresnet101",
        "preactresnet152",
        "wideresnet",
        "mlp",
    ] = setting("preactresnet18", "family, and depth of a PreActResNet")
    width: int | None = setting(None, "preactresnet: channels of the first stage; unset: 64", least=1)
    depth: int | None = setting(None, "wideresnet: 6 n + 4 layers; unset: 28", least=1, below=2000)
    widen_factor: int | None = setting(None, "wideresnet: widening factor; unset: 10", least=1)
    stem_stride: int = setting(1, "preactresnet, wideresnet: 2 halves the image at once", least=1)
    bias: bool = setting(False, "wideresnet: biased convolutions, as in the released code")
    widths: Names = setting(Names("none"), "mlp: units of the hidden layers, as in 1024,1024,2,1024,1024")
    bottleneck: int | None = setting(None, "mlp: the hidden layer, from 1, without nonlinearity and dropout", least=1)
    batch_norm: bool = setting(False, "mlp: normalise every hidden layer")
    input_noise: float = setting(0.0, "mlp: deviation of normal noise on the input, in units of [-1, 1]", least=0)
    dropout: float = setting(0.0, "probability, in [0, 1)", least=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.units

    @property
    def units(self) -> tuple[int, ...] | None:
        """`widths` as numbers; None where there are none."""
        if self.widths == "none":
            return None
        return _whole_numbers("--widths", self.widths)


@dataclass(frozen=True)
class ClassifierTrainingSettings(SettingsGroup):
    """Training"""

    loss: Literal["ce", "bce"] = setting(
        "ce",
        "cross-entropy, or the paper's binary cross-entropy of the softmax, whose gradient is about 1/(classes - 1) of"
        " cross-entropy's",
    )
    epochs: int = setting(1200, "passes over the training images", least=1)
    batch_size: int = setting(100, "images a step, over all processes together", least=1)
    lr: float = setting(0.1, "learning rate of SGD", above=0)
    momentum: float = setting(0.9, "momentum of SGD", least=0, below=1)
    nesterov: bool = setting(False, "Nesterov's momentum")
    weight_decay: float = setting(1e-4, "L2 penalty of all parameters", least=0)
    lr_decay: Literal["step", "cosine", "none"] = setting(
        "step", "the learning rate falls by --gamma at --milestones, or to 0 along a cosine, or stays"
    )
    milestones: Names = setting(Names("400,800"), "epochs after which the learning rate is multiplied by --gamma")
    gamma: float = setting(0.1, "factor of the learning rate at a milestone", above=0)
    label_smoothing: float = setting(0.0, "share of the label spread over all classes, in [0, 1)", least=0, below=1)
    ema: float = setting(
        0.0, "decay of the weights' exponential average, which is validated and tested; 0: none", least=0, below=1
    )
    clip_grad: float = setting(0.0, "largest norm of the gradient; 0: not clipped", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise UserError("--nesterov needs a momentum: choose --momentum above 0")
        _ = self.drops

    @property
    def drops(self) -> tuple[int, ...]:
        """`milestones` as numbers; none with "none"."""
        return () if self.milestones == "none" else _whole_numbers("--milestones", self.milestones)


@dataclass(frozen=True)
class AdversarialSettings(SettingsGroup):
    """Adversarial training (Table 7)"""

    adversarial: Literal["none", "pgd"] = setting("none", "train on images that PGD has changed within epsilon")
    pgd_epsilon: Levels = setting(Levels(8 / 255), "largest change of a pixel, in units of [0, 1]", least=0)
    pgd_step: Levels = setting(Levels(2 / 255), "change of a pixel in one step of PGD, in units of [0, 1]", least=0)
    pgd_steps: int = setting(7, "steps of PGD", least=1)


@dataclass(frozen=True)
class ClassifierConfig:
    """All settings of the classifier trainer, in the order of `--help`."""

    DEFAULT, PAPER = "configs/classifier/digits.yaml", "configs/classifier/cifar10-preactresnet18.yaml"
    PROGRAM, MARK = "classifier", "epochs"  # a setting that no other program has

    mix: ClassifierMixSettings = field(default_factory=ClassifierMixSettings)
    data: DataSettings = field(default_factory=DataSettings)
    examples: ClassifierDataSettings = field(default_factory=ClassifierDataSettings)
    network: ClassifierNetworkSettings = field(default_factory=ClassifierNetworkSettings)
    training: ClassifierTrainingSettings = field(default_factory=ClassifierTrainingSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)
    run: RunSettings = field(default_factory=RunSettings)
    device: DeviceSettings = field(default_factory=DeviceSettings)


def _whole_numbers(flag: str, names: Names) -> tuple[int, ...]:
    for item in names.items:
        if not item.isdecimal() or int(item) < 1:
            raise UserError(f"{flag} {names} is not valid: '{item}' must be a whole number above 0")
    return tuple(int(item) for item in names.items)
