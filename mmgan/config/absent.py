"""Flags that other programs have and mmgan does not, with what to use here."""

from collections.abc import Sequence

from mmgan.errors import did_you_mean

_DEVICE = (
    "`accelerate launch` chooses devices and processes, as in `CUDA_VISIBLE_DEVICES=0 accelerate launch -m mmgan"
    " train-gan`; ACCELERATE_USE_CPU=1 keeps to the CPU"
)
_PRECISION = "--mixed-precision bf16 or fp16 sets it"
_TRACKER = "--tracker names one, as in --tracker tensorboard"
_OUT = "--out names the run folder"
_WORKERS = "images in memory need no workers, and larger data sets choose their own"
_LENGTH = "--steps is the length of a GAN run, in generator steps, and --epochs that of a classifier's"
_SCORES = "mmgan score RUN scores a trained run, and --score-every scores it during training"

ANSWERS = {
    **dict.fromkeys(
        ("device", "devices", "cuda", "cpu", "gpu", "gpus", "num_gpus", "gpu_ids", "num_processes", "distributed"),
        _DEVICE,
    ),
    **dict.fromkeys(("fp16", "bf16", "half", "amp", "precision", "use_fp16"), _PRECISION),
    **dict.fromkeys(("wandb", "use_wandb", "tensorboard", "logger", "report_to"), _TRACKER),
    **dict.fromkeys(("outdir", "out_dir", "output", "output_dir", "save_dir", "logdir", "log_dir", "run_dir"), _OUT),
    **dict.fromkeys(("workers", "num_workers", "n_workers", "nw"), _WORKERS),
    **dict.fromkeys(("epochs", "n_epochs", "num_epochs", "steps", "max_steps", "iterations", "num_iters"), _LENGTH),
    **dict.fromkeys(("eval", "evaluate", "fid", "metrics", "test"), _SCORES),
}
"""By the flag's name with underscores. Checked only for flags that a program does not have."""


def instead_of(flag: str, known: Sequence[str], otherwise: str) -> str:
    """What to use instead of a flag that a program does not have.

    Args:
        flag: the unknown flag, as in --device.
        known: the program's own flags.
        otherwise: the hint where nothing is known of it.
    """
    return ANSWERS.get(flag.removeprefix("--").replace("-", "_")) or did_you_mean(flag, known, otherwise)
