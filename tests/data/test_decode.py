import ast
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmgan.data.decode as decode_module
from mmgan.data.decode import UnreadableImage, decode, load_image, open_image, read_header
from tests.support.images import chunk, decoy_gs, eps_bytes, png_of


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def random_levels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_colour_comes_out_channels_first():
    pixels = random_levels(5, 7, 3)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels)), None, 3), pixels.transpose(2, 0, 1))


def test_grey_and_colour_become_each_other():
    grey, colour = random_levels(6, 6), random_levels(6, 6, 3)
    assert np.array_equal(decode(encoded(Image.fromarray(grey)), None, 3), np.stack([grey] * 3))
    luma = colour @ [0.299, 0.587, 0.114]
    assert np.abs(decode(encoded(Image.fromarray(colour)), None, 1)[0] - luma).max() <= 0.51


def test_black_and_white_and_palette_images():
    bits = random_levels(6, 6) > 127
    assert np.array_equal(decode(encoded(Image.fromarray(bits)), None, 1)[0], bits * 255)
    palette = Image.fromarray(random_levels(6, 6, 3)).quantize(8)
    expected = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)[np.asarray(palette)]
    assert np.array_equal(decode(encoded(palette), None, 3), expected.transpose(2, 0, 1))


def test_transparency_is_composited_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[0, :, 3] = [0, 128, 255]
    assert decode(encoded(Image.fromarray(rgba)), None, 3)[:, 0].tolist() == [
        [255, 227, 200],
        [255, 127, 0],
        [255, 127, 0],
    ]
    grey = np.zeros((1, 2, 2), np.uint8)
    grey[0, :, 1] = [0, 255]
    assert decode(encoded(Image.fromarray(grey)), None, 1).tolist() == [[[255, 0]]]


def test_a_palette_with_a_transparent_colour():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    decoded = decode(encoded(palette, transparency=0), None, 3)
    assert decoded[:, 0].tolist() == [[255, 40], [255, 50], [255, 60]]


def test_sixteen_bits_are_scaled_and_rounded_not_cut():
    deep = np.array([[0, 128, 129, 257 * 100, 257 * 100 + 129, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(deep)), None, 1).tolist() == [[[0, 0, 1, 100, 101, 255]]]
    assert decode(encoded(Image.fromarray(deep), "TIFF"), None, 3)[1].tolist() == [[0, 0, 1, 100, 101, 255]]


def test_large_images_are_worked_on_in_strips(monkeypatch: pytest.MonkeyPatch):
    deep = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 65536, (13, 7), dtype=np.uint16)))
    clear = encoded(Image.fromarray(random_levels(13, 7, 4)))
    whole = [decode(data, None, 3) for data in (deep, clear)]
    monkeypatch.setattr(decode_module, "STRIP", 20)
    for data, expected in zip((deep, clear), whole, strict=True):
        assert np.array_equal(decode(data, None, 3), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_of_no_known_range_are_refused(dtype: type):
    with pytest.raises(ValueError, match="no known range"):
        decode(encoded(Image.fromarray(np.full((2, 2), 70000, dtype)), "TIFF"), None, 1)


def test_cmyk_becomes_rgb():
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # full magenta and yellow: red
    red, green, blue = decode(encoded(cmyk, "JPEG", quality=100), None, 3).reshape(3, -1).mean(1)
    assert red > 250
    assert max(green, blue) < 5


def test_images_are_turned_upright():
    pixels = random_levels(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    turned = decode(encoded(Image.fromarray(pixels), exif=exif), None, 3)
    assert np.array_equal(turned, np.rot90(pixels, -1).transpose(2, 0, 1))


@pytest.mark.parametrize("shape", [(40, 64, 3), (64, 40, 3)])
def test_the_centred_square_is_resized(shape: tuple[int, int, int]):
    pixels = np.zeros(shape, np.uint8)
    top, left = (shape[0] - 40) // 2, (shape[1] - 40) // 2
    pixels[top : top + 40, left : left + 40] = 200
    assert (decode(encoded(Image.fromarray(pixels)), 10, 3)[:, 1:-1, 1:-1] == 200).all()
    assert decode(encoded(Image.fromarray(pixels)), 10, 3).shape == (3, 10, 10)


def test_resizing_is_antialiased():
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(decode(encoded(Image.fromarray(stripes)), 16, 1)[0, 2:-2, 2:-2].astype(int) - 100).max() <= 12


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    return png_of(width, height, chunk(b"IDAT", zlib.compress(b"")))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("height", [9000, 30000])  # Pillow warns of the first and refuses the second
def test_decompression_bombs_are_refused(height: int):
    with pytest.raises(UnreadableImage, match="bomb"):
        decode(bomb(10000, height), 16, 3)


def test_broken_files_are_not_half_decoded():
    whole = encoded(Image.fromarray(random_levels(64, 64, 3)), "JPEG")
    for data in (whole[: len(whole) // 2], b"not an image", b""):
        with pytest.raises(UnreadableImage, match=r"truncated|no format"):
            decode(data, 16, 3)


def test_a_text_that_inflates_is_refused():
    text = chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(50_000_000)))
    data = png_of(8, 8, text, chunk(b"IDAT", zlib.compress(bytes(8 * 25))))
    assert len(data) < 100_000
    for read in (open_image, read_header, lambda data: decode(data, None, 3)):
        with pytest.raises(UnreadableImage, match="too large"):
            read(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_formats_that_are_read(kind: str):
    assert decode(encoded(Image.new("RGB", (8, 8), (255, 255, 255)), kind), None, 3).min() >= 250


def test_other_formats_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ran = decoy_gs(tmp_path, monkeypatch)
    for data in (eps_bytes(), encoded(Image.new("RGB", (8, 8)), "PPM"), encoded(Image.new("RGB", (8, 8)), "ICO")):
        for read in (open_image, load_image, read_header, lambda data: decode(data, None, 3)):
            with pytest.raises(UnreadableImage, match="of no format that is read"):
                read(data)
    assert not ran.exists()
    with pytest.raises(OSError, match="cannot identify"):  # the decoy's output is no image
        Image.open(io.BytesIO(eps_bytes())).load()
    assert ran.exists()  # the decoy works


def test_the_first_frame_of_an_animation_is_read():
    frames = [Image.new("L", (4, 4), level) for level in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, None, 1).max() == 10


def test_a_header_says_what_decoding_does():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read_header(encoded(Image.new("RGB", (6, 4)), exif=exif))
    assert (turned.size, turned.grey, turned.notes) == ((4, 6), False, ("turned upright as EXIF says",))
    deep = read_header(encoded(Image.fromarray(np.zeros((4, 6), np.uint16))))
    assert (deep.size, deep.grey, deep.notes) == ((6, 4), True, ("16-bit greys scaled to 8 bits",))
    assert read_header(encoded(Image.new("LA", (4, 4)))).notes == ("transparency laid on white",)
    assert read_header(encoded(Image.new("L", (4, 4)))).notes == ()


def test_images_are_opened_in_one_place():
    root = Path(__file__).parents[2]
    opened = [
        path.relative_to(root).as_posix()
        for path in sorted((root / "mmgan").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("Image.open", "pil_loader", "read_image"))
    ]
    assert opened == ["mmgan/data/decode.py"]
