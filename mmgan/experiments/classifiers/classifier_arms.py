"""The arms and studies shared by the experiments of Sections 5.1 to 5.3."""

from collections.abc import Mapping
from dataclasses import replace

from mmgan.experiments.framework.outcome import Place
from mmgan.experiments.framework.studies import Study, arm
from mmgan.report.entries import TEST_ERROR, TEST_NLL
from mmgan.sweeps.definition import Settings

BASELINE = arm("none")
INPUT = arm("pixel", 1)
MANIFOLD = arm("pixel,1,2", 2)
BLOCKED = "pixel,1,2 alpha 2 blocked"
DROPOUT = "dropout"
CUTOUT = "cutout"
ADAMIX = "AdaMix"

ERROR, NLL = TEST_ERROR.name, TEST_NLL.name

SETS = ("pixel,1", "pixel,1,2,3", "1,2", "pixel", "1,2,3", "1", "2,3", "2")
"""Table 5's eligible layers in its order, without the empty set and {0, 1, 2}; the paper's layer 0 is `pixel`."""

ALPHAS = (0.5, 1.0, 1.2, 1.5, 1.8, 2.0)
"""Table 6's."""


ARMS: Mapping[str, Settings] = {
    BASELINE: {"mix": "none"},
    INPUT: {"mix": "pixel", "alpha": 1},
    MANIFOLD: {"mix": "pixel,1,2", "alpha": 2},
    BLOCKED: {"mix": "pixel,1,2", "alpha": 2, "detach": True},
    DROPOUT: {"mix": "none", "dropout": 0.2},
    CUTOUT: {"mix": "none", "cutout": 16},
    ADAMIX: {"mix": "pixel", "lam": "adamix"},
    **{arm(layers, 2): {"mix": layers, "alpha": 2} for layers in SETS},
    **{arm(layers, a): {"mix": layers, "alpha": a} for layers in ("pixel", "pixel,1,2") for a in ALPHAS},
}
"""Settings of every arm by its name."""


def small_study(place: Place) -> Study:
    """The study at cpu scale; for a quick run, the digits for one epoch."""
    if place.quick:
        settings = {
            **{"image_size": 8, "arch": "mlp", "depth": None, "widen_factor": None, "widths": "16,12"},
            **{"epochs": 1, "batch_size": 200, "validation": 300},
        }
        return Study("digits, 1 epoch", "digits", "configs/classifier/digits.yaml", settings, (0, 1))
    return Study(
        label="2,000 CIFAR-10 images",
        name="cifar10-2k",
        config="configs/classifier/cifar10-jpeg-2k.yaml",
        settings={"data": f"folder:{place.data_root}/cifar10-jpeg"},
        seeds=(0, 1, 2),
    )


def paper_study(label: str, name: str, **settings: object) -> Study:
    """A published configuration, five seeds."""
    return Study(label, name, f"configs/classifier/{name}.yaml", settings, (0, 1, 2, 3, 4))


def long_study(label: str, name: str) -> Study:
    """2000 epochs of a published configuration, under its own name: Table 1's runs are shorter."""
    study = paper_study(f"{label}, 2000 epochs", name, epochs=2000, milestones="1000,1500")
    return replace(study, name=f"{name}-2000")
