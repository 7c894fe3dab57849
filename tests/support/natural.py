"""A small network trained on ImageNet, where its weights lie beside the repository."""

from pathlib import Path

import pytest

LITE = Path(__file__).parents[2].resolve() / "../shared/weights/tf_efficientnet_lite0.safetensors"
needs_lite = pytest.mark.skipif(not LITE.is_file(), reason=f"no {LITE}")
