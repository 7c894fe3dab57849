"""`--pick`: the part of a network's output that holds the logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmgan.errors import UserError


@dataclass(frozen=True)
class Pick:
    """Takes the part that `name` names: an index of a tuple or list, a key of a mapping, or an attribute."""

    name: str

    def __call__(self, output: Any) -> Any:
        number = int(self.name) if self.name.removeprefix("-").isdecimal() else None
        if isinstance(output, Mapping):
            key = self.name if self.name in output else number
            if key in output:
                return output[key]
            raise self._missing(f"a mapping with the keys {', '.join(map(repr, output))}")
        if isinstance(output, (tuple, list)) and number is not None:
            if -len(output) <= number < len(output):
                return output[number]
            raise self._missing(f"{len(output)} parts")
        if isinstance(output, Tensor):
            raise self._missing(f"one tensor of shape {tuple(output.shape)}: leave --pick out")
        if not hasattr(output, self.name):
            raise self._missing(f"a {type(output).__name__}")
        return getattr(output, self.name)

    def _missing(self, what: str) -> UserError:
        return UserError(f"--pick {self.name} is not in the discriminator's output, which is {what}")
