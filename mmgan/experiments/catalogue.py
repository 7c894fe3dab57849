"""All experiments by name. Does not import torch, so that --help and errors in names are fast."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from mmgan.experiments.framework.outcome import Outcome, Place


class Experiment(NamedTuple):
    """An experiment's module has `run(place) -> Outcome`; it is imported only when it runs."""

    module: str
    reproduces: str
    at_cpu_scale: str

    @property
    def run(self) -> Callable[[Place], Outcome]:
        run: Callable[[Place], Outcome] = import_module(f"mmgan.experiments.{self.module}").run
        return run


STUDY = "regularizers-gan"
"""The experiment whose runs are many: it keeps a row of each, and takes --minutes and --extractor-weights."""

EXPERIMENTS = {
    "spiral": Experiment(
        "spiral.spiral", "Figures 1 and 2: 2D spiral through a 2D bottleneck, seven regularisers", "whole"
    ),
    "bottleneck": Experiment("bottleneck.bottleneck", "Figure 5: MNIST through a 2D bottleneck", "fewer epochs"),
    "spectra": Experiment(
        "spectra.mnist_spectra", "Section 3.2, Figures 9 to 12: singular values by class", "fewer epochs"
    ),
    "theorem": Experiment("theorem.theorem", "Theorem 1 and Corollary 1: when the mixing loss can reach 0", "whole"),
    "factors": Experiment("factors.factors", "Table 8, Figure 4: mixing in the true factors of variation", "whole"),
    "cifar": Experiment(
        "classifiers.error_tables", "Tables 1 to 3: test error and NLL", "2,000 CIFAR-10 images (JPEG), narrow network"
    ),
    "regularizers": Experiment(
        "classifiers.other_regularizers", "Section 5.1: dropout, cutout, AdaMix, kNN, gradient blocked", "as cifar"
    ),
    "layers": Experiment("classifiers.layer_sets", "Table 5: the set of eligible layers", "as cifar"),
    "alpha": Experiment("classifiers.alphas", "Table 6: alpha", "as cifar, alpha 1 and 2"),
    "deformations": Experiment("classifiers.deformed_tests", "Tables 4 and 9: novel deformations", "on cifar's runs"),
    "adversarial": Experiment(
        "classifiers.attacked_tests", "Table 7, Appendix D: FGSM, and the unbounded check", "on cifar's runs"
    ),
    "losses": Experiment("classifiers.training_losses", "Figures 6 and 7: training loss by mixing layer", "as cifar"),
    "gan": Experiment(
        "gan.gan_scores", "Appendix E, Figure 8: IS and FID by alpha and layers", "digits, and Fashion-MNIST"
    ),
    STUDY: Experiment(
        "study.study",
        "beyond the paper: mixing next to the regularizers that people use, and little data",
        "CIFAR-10 (JPEG), narrow networks, ten hours of one core",
    ),
}
