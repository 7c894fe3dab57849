"""What scores.json and metrics.jsonl hold, checked before anything is computed from them."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Check = Callable[[Any], bool]
Shape = Check | Mapping[str, Any]
"""A test of a value, or the shapes of an object's values by their keys; a key that ends in "?" may be absent."""


def number(value: Any) -> bool:
    """A finite number in float's range; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def whole(value: Any) -> bool:
    """A whole number from 0 on, of 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def text(value: Any) -> bool:
    return isinstance(value, str)


def truth(value: Any) -> bool:
    return isinstance(value, bool)


def plain(value: Any) -> bool:
    return value is None or number(value) or text(value) or truth(value)


def some(check: Shape) -> Check:
    """What `check` says, or null."""
    return lambda value: value is None or fault_in(value, check) is None


def list_of(check: Shape) -> Check:
    return lambda value: isinstance(value, list) and all(fault_in(item, check) is None for item in value)


def map_of(check: Shape) -> Check:
    return lambda value: isinstance(value, dict) and all(fault_in(item, check) is None for item in value.values())


def measures(value: Any) -> bool:
    """Measures by name, null where they could not be computed; a mean has its deviation, which is not negative."""
    if not map_of(some(number))(value):
        return False
    means = [name.removesuffix("_mean") for name in value if name.endswith("_mean")]
    return all(f"{name}_std" in value and (value[f"{name}_std"] or 0) >= 0 for name in means)


TABLE = list_of(list_of(some(number)))

COMMON = {"seed": some(whole), "device": text, "versions": map_of(some(text)), "changed?": list_of(text)}

GENERATED: Shape = COMMON | {
    "scores": measures,
    "intervals?": map_of(lambda value: list_of(number)(value) and len(value) == 2),
    "reason": some(text),
    "notes": list_of(text),
    "extractor": {"name": text, "digest": text, "dims": whole},
    "samples": whole,
    "real": {"name": text, "split": text, "images": whole, "digest?": text},
    "settings": lambda value: map_of(plain)(value) and whole(value.get("splits")),
    "step": some(whole),
    "averaged_weights": some(truth),
    "weights?": text,
}
"""An entry of a GAN run."""

HELD_OUT = {"error_percent": number, "nll": number, "examples": whole}
CLASSIFIED: Shape = COMMON | {
    "step": whole,
    "epoch": whole,
    "validation": some(HELD_OUT),
    "test": HELD_OUT,
    "data": {"name": text, "split": text, "classes": whole, "digest": text},
    "averaged_weights": truth,
}
"""An entry of a classifier run."""


def fault_in(value: Any, shape: Shape) -> str | None:
    """The place of the first value that does not have its shape, as in real.images; "" for the whole; or None."""
    if callable(shape):
        return None if shape(value) else ""
    if not isinstance(value, dict):
        return ""
    for key, inner in shape.items():
        name = key.removesuffix("?")
        if name not in value:
            if not key.endswith("?"):
                return name
        elif (place := fault_in(value[name], inner)) is not None:
            return f"{name}.{place}" if place else name
    return None


def scores_fault(scores: Any) -> str | None:
    """What is wrong with the content of a scores.json; or None."""
    if not isinstance(scores, dict):
        return "it holds no object"
    if "history" not in scores:
        place = fault_in(scores, {"last": CLASSIFIED, "best": CLASSIFIED})
    else:
        place = fault_in(scores, {"history": _history, "last": GENERATED, "best": some(GENERATED)})
    return None if place is None else f"'{place}' is missing or not what it should be"


def _history(value: Any) -> bool:
    """One entry or more, each of a step."""
    return list_of(GENERATED)(value) and bool(value) and all(whole(entry["step"]) for entry in value)


ROW: dict[str, Any] = {
    "step": whole,
    "layers?": list_of(text),
    "non_finite?": text,
    "val_by_pair?": {"a": TABLE, "d": TABLE, "pairs": TABLE},
}
"""What is no number in a row of metrics.jsonl, and its step."""


def row_fault(row: Any) -> str | None:
    """What is wrong with a row of metrics.jsonl; or None."""
    place = fault_in(row, ROW)
    if place is None:
        others = {name: value for name, value in row.items() if name not in ROW and f"{name}?" not in ROW}
        place = next((name for name, value in others.items() if not number(value)), None)
        place = place or ("epoch" if "val_nll" in row and "epoch" not in row else None)
    return None if place is None else f"'{place}' is missing or not what it should be"


def read_json(content: bytes) -> Any:
    """The value in JSON text.

    Raises:
        ValueError: for anything else, NaN and infinity included, and for nesting that is too deep.
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("its values are nested too deep") from None


def digest_of(values: Any) -> str:
    """SHA-256 over plain values, whatever the order and layout in which a file has them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
