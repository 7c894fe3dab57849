"""What the import hook in conftest.py checks: the shapes and dtypes in annotations, and nothing else.

mypy holds the other types. Checking them here as well would raise for a wrong choice before the library does, and hide
that the library must refuse it by itself.
"""

from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray


def names_shape(hint: Any) -> bool:
    """Whether an annotation is a jaxtyping array, or holds one, as tuple[Float[Tensor, "n"], ...] does."""
    is_array = isinstance(hint, type) and issubclass(hint, AbstractArray)
    return is_array or any(names_shape(part) for part in get_args(hint))


def shapes_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, checked by beartype where its annotations name shapes."""
    function.__annotations__ = {k: hint for k, hint in function.__annotations__.items() if names_shape(hint)}
    checked: Callable[..., Any] = beartype(function)
    return checked
