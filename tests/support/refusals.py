"""What a refusal is: a UserError of one line."""

from collections.abc import Callable

import pytest

from mmgan.errors import UserError


def refused_in_one_line(message: str, action: Callable[[], object]) -> None:
    """Check that `action` raises a UserError of one line that matches."""
    with pytest.raises(UserError, match=message) as caught:
        action()
    assert "\n" not in str(caught.value)
