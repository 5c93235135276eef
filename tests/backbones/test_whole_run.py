"""A run with a network of one's own as the teacher and features from a file as the student."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from squares import SMALL, make_folder, places

from w2s_groups.cli import run
from w2s_groups.core.errors import InputError
from w2s_groups.results import committed
from w2s_groups.schema.config import Config

MEANS = """
from torch import nn

def means():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_a_module_teaches_a_file_of_features(
    load: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_folder(tmp_path / "data")
    (tmp_path / "net.py").write_text(MEANS)
    files = sorted(f"images/{path.name}" for path in (folder / "images").iterdir())
    rows = [np.asarray(Image.open(folder / file)).mean((0, 1)) for file in files]
    np.savez(tmp_path / "features.npz", features=rows[::-1], files=files[::-1])
    overrides = (
        *(*SMALL, *places(folder, tmp_path / "cache", tmp_path)),
        f"teacher=module/{tmp_path}/net.py:means",
        f"student=file/{tmp_path}/features.npz",
        *("device=auto", "precision=float32", "image_size=null", "methods=[teacher,ceiling]"),
    )
    with caplog.at_level("INFO"):
        assert run.run(load(*overrides)).failed == []
    assert "device=auto: " in caplog.text
    report = tmp_path / "reports/leaderboard/squares"
    table = committed.read(report)
    # The folders of files differ between machines, and the page has none.
    assert set(table.teacher) == {"module/net.py:means"}
    assert set(table.student) == {"file/features.npz"}
    for name in ("settings.json", "leaderboard.md", "leaderboard.html", "leaderboard.csv"):
        assert str(tmp_path) not in (report / name).read_text(), name
    assert run.run(load(*overrides)).failed == []
    assert [path.name for path in report.parent.iterdir()] == ["squares"]  # the same question
    test = table[(table.split == "test") & (table.metric == "accuracy")]
    # Brightness tells the classes apart, and both see nothing but the mean colour.
    assert test[test.method == "ceiling"].value.min() == 1
    assert test[test.method == "teacher"].value.min() == 1
    np.save(tmp_path / "short.npy", np.array(rows[1:]))
    with pytest.raises(InputError, match="95 rows and the dataset 96 images"):
        run.run(load(*overrides, f"student=file/{tmp_path}/short.npy"))
