"""Pictures for the tests of every source: smooth noise of any shape."""

from __future__ import annotations

import numpy as np
from PIL import Image

from w2s_groups.core.seeds import stream


def picture(height: int = 96, width: int = 96) -> Image.Image:
    coarse = stream(0, "test/picture").integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
