"""What a Python that forks imports first, so that no fork has to."""

import gc
import warnings


def preload() -> None:
    import matplotlib.pyplot  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import torch
    import torch._dynamo  # DistributedDataParallel imports it
    import torchvision.utils  # noqa: F401

    import mmgan.__main__
    import mmgan.commands.score
    import mmgan.gan.run
    import mmgan.supervised.judges
    import mmgan.supervised.run
    import mmgan.train_classifier
    import mmgan.train_gan  # noqa: F401
    from tests.support.charts import blank_charts

    warnings.simplefilter("default")
    torch.set_num_threads(1)
    blank_charts().start()
    gc.freeze()
