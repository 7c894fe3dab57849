"""Run by tests/python/test_calls.py as two processes: a program that calls mmgan.train_gan."""

import mmgan
from tests.python.test_calls import PIXELS, TINY, G, critic


def main(argv: list[str]) -> None:
    run = mmgan.train_gan(data=PIXELS, generator=G, discriminator=critic, mix="1,pixel", out=argv[0], **TINY)
    print("scores", run.scores, "sample", tuple(run.sample(3).shape))
