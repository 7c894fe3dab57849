"""Mutated copies of every file that mmgan reads: no traceback, no hang, no memory above 1 GiB, no write elsewhere.

python -m tests.faults.soak_fuzz [--files 10000] [--seed 0] [--only TARGET] [--keep FOLDER]
"""

import argparse
import io
import json
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import yaml
from PIL import Image

import mmgan.data.files as files_module
from mmgan.commands import report
from mmgan.commands.scores import read_entry
from mmgan.config.classifier import ClassifierConfig
from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat, parse_config
from mmgan.data import load_images
from mmgan.errors import UserError
from mmgan.experiments.framework.results import read_result
from mmgan.report.score_text import compare_text
from mmgan.runs.checkpoints import newest_checkpoint, recover_checkpoints
from mmgan.runs.folder import RunFolder
from mmgan.runs.loading import find_fault, load_network, load_optimizer, read_facts
from mmgan.scoring import reference
from mmgan.scoring.folders import open_folder, open_images
from mmgan.sweeps.definition import list_runs
from mmgan.sweeps.read import read_sweep
from tests.support.charts import blank_charts
from tests.support.fuzz import Target, content, run
from tests.support.report_runs import classifier_entry, classifier_run, gan_run, manifest

ROOT = Path(__file__).parents[2]


def one_file(path: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    """Write a content to `path`, and read it."""

    def action(data: bytes) -> object:
        path.write_bytes(data)
        return read()

    return action


def configs(place: Path) -> list[Target]:
    targets = []
    for name, cls in (("gan", GanConfig), ("classifier", ClassifierConfig)):
        file = place / f"{name}.yaml"

        def read(cls: type = cls, file: Path = file) -> None:
            config, _ = parse_config(cls, ["--config", str(file)], prog="x", description="", default_config="")
            yaml.safe_dump(flat(config))

        seeds = [path.read_bytes() for path in sorted((ROOT / f"configs/{name}").glob("*.yaml"))]
        targets.append(Target(f"{name} config", seeds, one_file(file, read)))
    sweeps = [path.read_bytes() for path in sorted((ROOT / "configs/sweep").glob("*.yaml"))]
    file = place / "sweep.yaml"
    return [*targets, Target("sweep", sweeps, one_file(file, lambda: list_runs(read_sweep(file))))]


def run_folders(place: Path) -> list[Target]:
    """config.yaml, metrics.jsonl and scores.json under `mmgan report`, and what a resumed run reads of them."""
    targets = []
    history = [manifest(20.0, step=5), manifest(None, step=8), manifest(10.0, step=10)]
    runs = {
        "gan": gan_run(place / "gan-run", history=history, steps=10, grids=(5,)),
        "classifier": classifier_run(place / "classifier-run", last=classifier_entry(9.0)),
    }
    for kind, folder in runs.items():
        for path in (folder.config_file, folder.metrics_file, folder.scores_file, *folder.samples.glob("*.png")):
            good = path.read_bytes()

            def action(data: bytes, path: Path = path, folder: RunFolder = folder, good: bytes = good) -> None:
                path.write_bytes(data)
                try:
                    folder.find_metrics_fault(3, "")
                    check_program(report.main, [str(folder.path)])
                    if path == folder.metrics_file:
                        folder.cut_metrics(3)
                        folder.read_metrics()
                finally:
                    path.write_bytes(good)

            is_json = path.suffix in (".json", ".jsonl")
            seal = without_digest if path == folder.scores_file else None
            targets.append(Target(f"{kind} run's {path.name}", [good], action, json=is_json, seal=seal))
    return targets


def without_digest(data: bytes) -> bytes:
    """scores.json as an earlier version of mmgan wrote it, so that its values are looked at."""
    try:
        values = json.loads(data)
        del values["digest"]
        return json.dumps(values).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return data


def check_program(main: Callable[[list[str]], int], argv: list[str]) -> None:
    """Run a program; a refusal is one, as its caller sees it."""
    with blank_charts():
        code = main(argv)
    if code == 2:
        raise UserError("refused")
    assert code == 0, code


def checkpoints(place: Path) -> list[Target]:
    folder = place / "checkpoints"
    step = folder / "step-00000002"
    step.mkdir(parents=True)
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.zeros(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    weights = safetensors.torch.save(network.state_dict())
    saved = io.BytesIO()
    torch.save(optimizer.state_dict(), saved)
    old = io.BytesIO()
    torch.save(optimizer.state_dict(), old, _use_new_zipfile_serialization=False)
    facts = json.dumps({"step": 2, "settings": {"seed": 0}, "versions": {"mmgan": "1"}, "changed": []}).encode()
    names = {"state.json": facts, "net.safetensors": weights}
    listed = json.dumps(dict.fromkeys(names, "0" * 64)).encode()
    for name, data in names.items():
        (step / name).write_bytes(data)

    kept = place / "features.safetensors"

    def read_manifest() -> None:
        recover_checkpoints(folder)
        find_fault(step)
        newest_checkpoint(folder)

    return [
        Target("manifest", [listed], one_file(step / "manifest.json", read_manifest), json=True),
        Target("facts", [facts], one_file(step / "state.json", lambda: read_facts(step)), json=True),
        Target("weights", [weights], one_file(step / "net.safetensors", lambda: load_network(step, "net", network))),
        Target(
            "optimizer",
            [saved.getvalue(), old.getvalue()],
            one_file(step / "optimizer.pt", lambda: load_optimizer(step, "optimizer", optimizer)),
        ),
        Target(
            "features",
            [_features()],
            one_file(kept, lambda: reference._read(kept)),
        ),
    ]


def _features() -> bytes:
    tensors = {"features": torch.randn(5, 3), "mean": torch.zeros(3, dtype=torch.float64)}
    tensors["covariance"] = torch.eye(3, dtype=torch.float64)
    from mmgan.scoring.extractors import tensors_digest

    return safetensors.torch.save(tensors, {"sha256": tensors_digest(tensors)})


def images(place: Path) -> list[Target]:
    rng = np.random.default_rng(0)
    colours, greys = rng.integers(0, 256, (24, 20, 3), np.uint8), rng.integers(0, 65536, (24, 20)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture, clear = Image.fromarray(colours), Image.fromarray(np.dstack([colours, colours[:, :, :1]]))
    forms: dict[str, list[tuple[Image.Image, dict[str, object]]]] = {
        "PNG": [(picture, {"exif": exif}), (clear, {}), (Image.fromarray(greys), {}), (picture.quantize(9), {})],
        "JPEG": [(picture, {"exif": exif}), (picture, {"progressive": True}), (picture.convert("CMYK"), {})],
        "WEBP": [(picture, {"exif": exif}), (clear, {"lossless": True})],
        "BMP": [(picture, {}), (picture.quantize(9), {})],
        "GIF": [(picture.quantize(9), {"save_all": True, "append_images": [picture.quantize(5)]})],
        "TIFF": [
            (picture, {"compression": name}) for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ]
        + [(Image.fromarray(greys), {})],
    }
    targets = []
    for kind, pictures in forms.items():
        seeds = []
        for image, options in pictures:
            buffer = io.BytesIO()
            image.save(buffer, kind, **options)
            seeds.append(buffer.getvalue())
        folder = place / f"images-{kind}"
        folder.mkdir()
        for i in range(2):
            picture.save(folder / f"{i}.png")
        file = folder / "2.png"

        def read(folder: Path = folder) -> None:
            (place / "cache").mkdir(exist_ok=True)
            try:
                load_images(f"folder:{folder}", ".", image_size=8, channels=3)
            finally:
                shutil.rmtree(place / "cache")
            found = open_folder(folder)
            found.read(0, found.count)

        targets.append(Target(kind, seeds, one_file(file, read)))
    return targets


def caches(place: Path) -> list[Target]:
    """The image cache's stamp, description and pixels: damage is healed, so the images are always the same."""
    folder, cache = place / "cached", place / "cache" / "images"
    folder.mkdir()
    for i in range(3):
        path = folder / f"{i}.png"
        Image.new("L", (8, 8), 50 * i).save(path)
    files_module.SETTLED = -3600.0  # a stamp is written although the files are new
    expected = load_images(f"folder:{folder}", ".").pixels.clone()
    targets = []
    kept = {path.name: path.read_bytes() for path in cache.iterdir()}
    for name, data in kept.items():

        def action(changed: bytes, name: str = name) -> None:
            cache.mkdir(parents=True, exist_ok=True)
            for path in cache.iterdir():
                path.unlink()
            for other, content_of in kept.items():
                (cache / other).write_bytes(content_of)
            (cache / name).write_bytes(changed)
            assert torch.equal(load_images(f"folder:{folder}", ".").pixels, expected)

        suffix = name.rpartition(".")[2]
        targets.append(Target(f"cache's {suffix}", [data], action, json=suffix == "json"))
    return targets


def sealed_png(data: bytes) -> bytes:
    """The PNG with right checksums of its chunks, as far as it has chunks."""
    parts, at = [data[:8]], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        parts += [data[at : at + 4], body, zlib.crc32(body).to_bytes(4)]
        at += 12 + length
    return b"".join(parts)


def results(place: Path) -> list[Target]:
    """Experiments' results, and files of `mmgan score --json`."""
    seeds = [path.read_bytes() for path in sorted((ROOT / "results").rglob("results.json"))[:3]]
    file, other = place / "result.json", place / "other.json"
    scores = json.dumps(manifest(20.0)).encode()
    other.write_bytes(scores)

    def compared() -> object:
        return compare_text({"one": read_entry(file), "other": read_entry(other)})

    return [
        Target("experiment's result", seeds, one_file(file, lambda: read_result(file)), json=True),
        Target("compared scores", [scores], one_file(file, compared), json=True),
    ]


def archives(place: Path) -> list[Target]:
    """Sets of images to be scored."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (9, 9, 9)).save(picture, "PNG")
    packed, arrays = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(3):
            archive.writestr(f"{i}.png", picture.getvalue())
    np.savez_compressed(arrays, images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.arange(4))
    targets = []
    for kind, data in (("zip", packed.getvalue()), ("npz", arrays.getvalue())):
        file = place / f"images.{kind}"

        def read(file: Path = file) -> None:
            found = open_images(str(file))
            found.read(0, found.count)

        targets.append(Target(kind, [data], one_file(file, read)))
    return targets


def published(place: Path) -> list[Target]:
    """MNIST's IDX files, and Tiny ImageNet's annotations."""
    raw = place / "MNIST/raw"
    raw.mkdir(parents=True)
    pixels = struct.pack(">IIII", 0x803, 10, 28, 28) + bytes(range(250)) * 31 + bytes(90)
    labels = struct.pack(">II", 0x801, 10) + bytes(range(10))
    files = {}
    for split in ("train", "t10k"):
        for kind, data in (("images-idx3", pixels), ("labels-idx1", labels)):
            (raw / f"{split}-{kind}-ubyte").write_bytes(data)
            files[kind] = data
    read: Callable[[], object] = lambda: load_images("mnist", place)  # noqa: E731
    targets = [
        Target(f"IDX {kind}", [data], restored(raw / f"train-{kind}-ubyte", read)) for kind, data in files.items()
    ]
    tiny = place / "tiny-imagenet-200"
    for name in ("train/a/images", "train/b/images", "val/images"):
        (tiny / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (8, 8)).save(tiny / name / f"v{i}.JPEG")
    rows = b"v0.JPEG\ta\t0\t0\t9\t9\nv1.JPEG\tb\t0\t0\t9\t9\n"
    annotate = restored(tiny / "val/val_annotations.txt", lambda: load_images("tiny-imagenet", place, split="test"))
    return [*targets, Target("annotations", [rows], annotate)]


def restored(path: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    good = path.read_bytes() if path.exists() else b""

    def action(data: bytes) -> object:
        path.write_bytes(data)
        try:
            return read()
        finally:
            path.write_bytes(good)

    return action


def all_targets(place: Path) -> list[Target]:
    """Every kind of file, with all that reads it below `place`."""
    torch.set_num_threads(1)
    os.environ["MMGAN_CACHE"] = str(place / "cache")
    makers = (configs, run_folders, checkpoints, images, results, archives, caches, published)
    return [target for maker in makers for target in maker(place)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="targets whose name begins so")
    parser.add_argument("--keep", type=Path, help="a folder for the files that broke a rule")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        targets = [target for target in all_targets(place) if target.name.startswith(arguments.only or "")]
        tally = run(targets, arguments.files, arguments.seed, place)
        for target in targets:
            counts = {what: count for (name, what), count in sorted(tally.outcomes.items()) if name == target.name}
            print(f"{target.name:32} {', '.join(f'{count} {what}' for what, count in counts.items())}")
        for fault in tally.faults:
            print(fault)
            if arguments.keep:
                number = int(fault.partition(": ")[0].rpartition(" ")[2])
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{number}").write_bytes(content(targets, number, arguments.seed))
        print(f"{arguments.files:,} files, seed {arguments.seed}: {len(tally.faults)} broke a rule")
    raise SystemExit(bool(tally.faults))


if __name__ == "__main__":
    main()
