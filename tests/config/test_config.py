"""Configurations: flags over files, layers in any spelling, every packaged file."""

from pathlib import Path

import pytest
import yaml

from mmgan.config.classifier import ClassifierConfig
from mmgan.config.fields import Levels, Names
from mmgan.config.gan import GanConfig
from mmgan.config.parse import flat, parse_config, unflat
from mmgan.config.presets import fitting_preset, preset_line
from mmgan.errors import UserError
from mmgan.gan.networks import build_networks
from mmgan.mixing import Mixed

ROOT = Path(__file__).parents[2]
GAN_CONFIGS = sorted((ROOT / "configs/gan").glob("*.yaml"))


def parse(*argv: str) -> GanConfig:
    config, _ = parse_config(GanConfig, argv, prog="x", description="x", default_config="configs/gan/digits.yaml")
    return config


def test_the_required_files_are_there() -> None:
    names = {path.stem for path in GAN_CONFIGS}
    assert names >= {"digits", "fashion-mnist", "cifar10", "cifar10-released", "cifar10-hinge", "stl10"}


@pytest.mark.parametrize("path", GAN_CONFIGS, ids=lambda path: path.stem)
def test_every_file_parses_and_its_networks_exist(path: Path) -> None:
    config = parse("--config", str(path), "--mix", "1,2,pixel")
    sizes = {
        "folder:photos": (3, 64),
        "folder:data/cifar10-jpeg": (3, 32),
        "digits": (1, 16),
        "fashion-mnist": (1, 32),
        "stl10": (3, 48),
        "cifar10": (3, 32),
    }
    channels, published = sizes[config.data.data]
    size = config.data.image_size or published
    assert size == published or path.stem == "fashion-mnist-conditional"
    generator, discriminator = build_networks(config.networks, channels=channels, image_size=size, seed=0)
    assert Mixed(discriminator, config.mix.mix.items).layers == ("block1", "block2", "pixel")
    assert sum(p.numel() for p in generator.parameters()) > 0


def test_the_paper_s_setting() -> None:
    config = parse("--config", "configs/gan/cifar10.yaml")
    assert (config.training.loss, config.mix.alpha, config.mix.lam, config.mix.per) == (
        "jsgan",
        0.5,
        "uniform",
        "example",
    )
    assert config.mix.pairs.items == ("real-fake", "fake-real", "fake-fake")
    assert (config.training.n_dis, config.training.batch_size, config.training.g_batch_factor) == (5, 64, 2)
    assert (config.training.lr, config.training.beta1, config.training.beta2) == (2e-4, 0.0, 0.9)
    generator, discriminator = build_networks(config.networks, channels=3, image_size=32, seed=0)
    assert sum(p.numel() for p in generator.parameters()) == 4_276_739
    assert sum(p.numel() for p in discriminator.parameters()) == 1_053_824


@pytest.mark.parametrize("text", ["mix: 1,2,pixel", "mix: [1, 2, pixel]", "mix: ['1', 2, ' pixel']"])
def test_layers_in_yaml(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text + "\n")
    assert parse("--config", str(tmp_path / "c.yaml")).mix.mix == Names("1,2,pixel")


def test_one_layer_in_yaml_and_none(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("mix: 1\n")
    assert parse("--config", str(tmp_path / "c.yaml")).mix.mix == Names("1")
    (tmp_path / "c.yaml").write_text("mix: []\n")
    assert parse("--config", str(tmp_path / "c.yaml")).mix.mix == Names("none")


def test_flags_override_the_file_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("alpha: 0.3\nsteps: 7\nlr: 1e-4\n")
    before = parse("--alpha", "0.1", "--config", str(tmp_path / "c.yaml"))
    after = parse("--config", str(tmp_path / "c.yaml"), "--alpha=0.1")
    assert before == after
    assert (after.mix.alpha, after.training.steps, after.training.lr) == (0.1, 7, 1e-4)


def test_underscores_do_as_well_and_switches_have_a_no() -> None:
    assert parse("--batch_size", "5", "--flip").training.batch_size == 5
    assert parse("--flip").data.flip is True
    assert parse("--no-flip").data.flip is False


def test_flat_and_back() -> None:
    config = parse("--mix", "1,pixel", "--seed", "4")
    assert parse_back(flat(config)) == config


def parse_back(values: dict[str, object]) -> GanConfig:
    names = {key: Names(value) if key in ("mix", "pairs") else value for key, value in values.items()}
    return unflat(GanConfig, names)


def test_printed_config_is_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parse("--mix", "1,2", "--print_config")
    assert left.value.code == 0
    text = capsys.readouterr().out
    (tmp_path / "c.yaml").write_text(text)
    assert yaml.safe_load(text)["mix"] == "1,2"
    assert parse("--config", str(tmp_path / "c.yaml")) == parse("--mix", "1,2")


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "\x00"])
def test_what_is_no_yaml_of_settings_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError):
        parse("--config", str(tmp_path / "c.yaml"))


@pytest.mark.parametrize("flag", ["--beta2", "--ema", "--beta1"])
def test_decays_stay_below_one(flag: str) -> None:
    with pytest.raises(UserError, match="must be below 1"):
        parse(flag, "1")


def test_a_run_without_config_has_the_preset_that_fits_its_data() -> None:
    for argv, preset in (
        ([], "digits"),
        (["--mix", "1", "--data", "digits"], "digits"),
        (["--data=fashion-mnist"], "fashion-mnist"),
        (["--data", "mnist"], "fashion-mnist"),
        (["--data", "cifar100", "--seed", "1"], "cifar10"),
        (["--data", "stl10"], "stl10"),
        (["--data", "cifar10", "--data", "folder:my photos"], "folder"),
        (["--data", "tiny-imagenet"], "folder"),
        (["--data", "nothing"], "digits"),
    ):
        assert fitting_preset(argv) == f"configs/gan/{preset}.yaml", argv
    bare, folder = parse(), parse("--config", "configs/gan/folder.yaml")
    for name in ("lr", "n_dis", "steps"):
        assert getattr(folder.training, name) != getattr(bare.training, name)


def test_a_preset_that_was_made_for_other_data_says_so() -> None:
    assert "embedded default, configs/gan/digits.yaml" in preset_line("digits")
    assert preset_line("fashion-mnist") == "no --config: the settings of configs/gan/fashion-mnist.yaml"
    assert preset_line("folder:x") == "no --config: the settings of configs/gan/folder.yaml"
    assert preset_line("mnist").endswith("fashion-mnist.yaml, which were not chosen for mnist")
    assert preset_line("svhn").endswith("cifar10.yaml, which were not chosen for svhn")


def test_mix_classes_needs_classes() -> None:
    assert parse("--conditional", "--mix-classes", "embed").examples.mix_classes == "embed"
    with pytest.raises(UserError, match="--mix-classes within needs --conditional"):
        parse("--mix-classes", "within")


def test_shares_of_the_pixels_range_are_shown_as_they_are_typed() -> None:
    assert (str(Levels("8/255")), Levels("8/255")) == ("8/255", 8 / 255)
    assert (str(Levels("0.03")), Levels(0.03), str(Levels(1))) == ("0.03", 0.03, "255/255")
    argv = ["--pgd-epsilon", "4/255"]
    config, _ = parse_config(ClassifierConfig, argv, prog="x", description="x", default_config=ClassifierConfig.DEFAULT)
    value = flat(config)["pgd_epsilon"]
    assert (value, type(value)) == (4 / 255, float)  # config.yaml and facts hold plain numbers
