"""Everything about the study's runs but the arms, fixed before the first of them.

docs/reproduction/regularizers-gan.md gives the reasons.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mmgan.errors import UserError
from mmgan.experiments.framework.outcome import Place
from mmgan.experiments.study.arms import ARMS, MIX, NONE, TRIES, Rates
from mmgan.sweeps.definition import Settings

TIMM = "timm:tf_efficientnet_lite0"


@dataclass(frozen=True)
class Judged:
    """How the best checkpoint is scored against the test images."""

    extractor: str
    samples: int
    real_images: int | None  # None: all


@dataclass(frozen=True)
class Protocol:
    """One scale of the study.

    Attributes:
        data: as readers call it.
        config: the file that all runs start from.
        settings: of all runs; they override the file.
        sizes: numbers of training images.
        arms: names of arms, the baseline first.
        rates: learning rates of the search.
        tries: runs of each arm's search.
        pilot_seeds, search_seed, main_seeds: no seed is in two of them; the pilot decides how many main ones are used.
        least: main seeds at least.
        test: how the best checkpoint is judged; the first extractor is that of the comparisons.
        cpu_hours: no run is begun after these; None: no limit.
    """

    data: str
    config: str
    settings: Settings
    sizes: Sequence[int]
    arms: Sequence[str]
    rates: Rates
    tries: int
    pilot_seeds: Sequence[int]
    search_seed: int
    main_seeds: Sequence[int]
    least: int
    test: Sequence[Judged]
    cpu_hours: float | None = None


def protocol_of(place: Place) -> Protocol:
    """The protocol at this place's scale.

    Raises:
        UserError: for a file of weights where no single extractor takes one.
    """
    if place.extractor_weights is not None and (place.quick or place.scale == "paper"):
        raise UserError(
            f"--extractor-weights is the file of {TIMM}: leave it out, --quick and --scale paper have other extractors"
        )
    if place.quick:
        return _quick()
    return _paper() if place.scale == "paper" else _cpu(place)


def _cpu(place: Place) -> Protocol:
    steps = 450
    settings = {
        "data": f"folder:{place.data_root}/cifar10-jpeg",
        **{"d_width": 16, "g_width": 16, "latent_dim": 64, "batch_size": 32, "n_dis": 2, "steps": steps},
        "mixed_precision": "no",
        **{"holdout": 0.1, "real_split": "held-out", "real_images": 250, "score_samples": 250},
        **{"score_every": steps // 3, "diagnose_every": steps // 3, "sample_every": steps, "checkpoint_every": 0},
        **{"density_coverage": False, "intervals": False},
    }
    return Protocol(
        data="CIFAR-10 (JPEG copies)",
        config="configs/gan/cifar10-jpeg.yaml",
        settings=settings | _weights(place),
        sizes=(1_000, 20_000),
        arms=tuple(ARMS),
        rates=Rates((4e-4, 1e-3), (2e-4, 2e-3)),
        tries=TRIES,
        pilot_seeds=(800, 801, 802),
        search_seed=900,
        main_seeds=tuple(range(8)),
        least=5,
        test=(Judged(TIMM, 500, 2_000),),
        cpu_hours=12.0,
    )


def _paper() -> Protocol:
    settings = {
        "download": True,
        **{"holdout": 0.1, "real_split": "held-out", "score_samples": 5_000, "precision_recall": True},
        **{"score_every": 5_000, "diagnose_every": 5_000, "sample_every": 50_000},
    }
    return Protocol(
        data="CIFAR-10",
        config="configs/gan/cifar10.yaml",
        settings=settings,
        sizes=(1_000, 20_000),
        arms=tuple(ARMS),
        rates=Rates((2e-4, 4e-4), (1e-4, 8e-4)),
        tries=TRIES,
        pilot_seeds=(800, 801, 802),
        search_seed=900,
        main_seeds=tuple(range(8)),
        least=5,
        test=(Judged("inception", 10_000, None), Judged("dinov2-vit-s-14", 10_000, None)),
    )


def _quick() -> Protocol:
    settings = {
        **{"steps": 4, "d_width": 4, "g_width": 4, "latent_dim": 8, "is_splits": 2, "precision_recall": True},
        **{"holdout": 0.1, "real_split": "held-out", "real_images": 100, "score_samples": 100},
        **{"score_every": 2, "diagnose_every": 2, "sample_every": 4, "checkpoint_every": 0},
    }
    return Protocol(
        data="digits",
        config="configs/gan/digits.yaml",
        settings=settings,
        sizes=(100,),
        arms=(NONE, MIX),
        rates=Rates((4e-4, 1e-3)),
        tries=1,
        pilot_seeds=(800, 801),
        search_seed=900,
        main_seeds=(0, 1),
        least=2,
        test=(Judged("classifier", 100, 100),),
    )


def _weights(place: Place) -> dict[str, str]:
    return {} if place.extractor_weights is None else {"extractor_weights": place.extractor_weights}
