"""What a run is, what to do with it, and its settings."""

import shlex

from mmgan.report.content import Lines, Section, Settings
from mmgan.report.entries import MISSING, plain_text
from mmgan.report.record import Record


def title_of(record: Record) -> str:
    """The run in one line: data, mixing, seed."""
    mixing = f"layers {','.join(record.layers)}, {record.law}" if record.layers else "no mixing (baseline)"
    return f"{record.config.get('data', record.name)}, {mixing}, seed {record.config.get('seed', MISSING)}"


def facts_of(record: Record) -> dict[str, str]:
    """The main facts."""
    config = record.config
    total = config.get("epochs" if record.is_classifier else "steps")
    if record.is_classifier:
        done = f"epoch {record.metrics[-1].get('epoch', MISSING) if record.metrics else 0} of {total}"
    else:
        done = f"{record.step:,} of {total:,} generator steps"
    return {
        "run": record.name,
        "data": plain_text(config.get("data")),
        "layers": ", ".join(record.layers) or "none",
        "alpha": record.law.removeprefix("alpha ") if record.layers else MISSING,
        "seed": plain_text(config.get("seed")),
        "network": plain_text(config.get("arch")),
        "trained": done,
        "images seen": f"{record.metrics[-1].get('images', 0):,}" if record.metrics else "0",
    }


def commands(record: Record) -> Section:
    """What to type next."""
    path = str(record.folder.path)
    train = ["mmgan", "train-classifier" if record.is_classifier else "train-gan"]
    lines = []
    if not record.is_finished:
        lines.append(("go on from the newest checkpoint", [*train, "--resume", "--out", path]))
    if record.is_classifier:
        lines.append(("every measure of the paper, on the test set", ["mmgan", "evaluate", path]))
    else:
        lines.append(("score", ["mmgan", "score", path]))
    seed = int(record.config.get("seed", 0))
    settings: dict[str, object] = {"config": record.folder.config_file, "seed": seed + 1}
    settings["out"] = f"{path.removesuffix(f'-seed{seed}')}-seed{seed + 1}"
    again = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    lines.append(("the same with another seed", [*train, *again]))
    text = "\n\n".join(f"# {what}\n{shlex.join(words)}" for what, words in lines)
    return Section("What to do with it", [Lines(text)])


def settings(record: Record) -> Section:
    """Every setting of the run."""
    return Section("Configuration", [Settings({str(name): plain_text(value) for name, value in record.config.items()})])
