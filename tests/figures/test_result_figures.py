"""Figures of measured results: what they draw follows from the table or the dataset."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tables import LIFT, METHODS, grid_table

from w2s_groups.core.errors import InputError
from w2s_groups.data.base import ImageDataset
from w2s_groups.design.groups import Groups
from w2s_groups.figures import gain_vs_eta_u, keep_q, samples, similarity
from w2s_groups.methods.variants import of_settings
from w2s_groups.prediction import storage
from w2s_groups.prediction.figures import maps, measured, sizes
from w2s_groups.results.pivot import grids
from w2s_groups.results.stats import mean_interval

PREDICTED = Path(__file__).parents[2] / "reports"


def test_gain_figure_has_a_panel_per_metric_and_eta_l_and_draws_the_paired_means() -> None:
    grid = grids(grid_table())[0]
    figure = gain_vs_eta_u.draw(grid)
    drawn = [np.asarray(line.get_ydata()) for axis in figure.axes for line in axis.get_lines()]
    average = grid.metric("average")
    gain = average[:, grid.methods.index("w2s")] - average[:, grid.methods.index("teacher")]
    for start in (0, 4):  # the four eta_u of each eta_l
        expected = gain[start : start + 4].mean(axis=1)
        assert any(len(y) == 4 and np.allclose(y, expected) for y in drawn)


def test_gain_figure_of_one_cell() -> None:
    grid = grids(grid_table(eta_l=(0.05,), eta_u=(0.5,), seeds=1))[0]
    assert gain_vs_eta_u.draw(grid).axes


@pytest.mark.parametrize("eta_l", [(0.05,), (0.05, 0.2, 0.5)])
def test_legends_stay_inside_however_many_and_long_the_names_are(eta_l: tuple[float, ...]) -> None:
    table = grid_table(eta_l=eta_l, eta_u=(0.2, 0.5), seeds=2)
    w2s = table[table["method"] == "w2s"]
    long = [f"selective[keep=0.{k},q=0.7,init=w2s,labels=hard]" for k in range(1, 5)]
    for names in (long, ["adaptive_confidence", "selection_only"], ["selective[" + "q=0.7," * 20]):
        copies = [  # apart from each other, or the figure would leave them out
            w2s.assign(method=name, value=(w2s["value"] - 0.05 * k).clip(0, 1))
            for k, name in enumerate(names, 1)
        ]
        (grid,) = grids(pd.concat([table, *copies]))
        figure = gain_vs_eta_u.draw(grid)
        (legend,) = figure.legends
        figure.draw_without_rendering()
        inside, whole = legend.get_window_extent(), figure.bbox
        assert inside.x0 >= 0
        assert inside.x1 <= whole.x1
        assert inside.y0 >= 0
        assert all(axes.get_window_extent().y0 >= inside.y1 - 1 for axes in figure.axes)
        shown = {text.get_text().replace("\n  ", "") for text in legend.get_texts()}
        assert shown > set(names)


def test_lines_on_each_other_are_drawn_once_and_the_note_says_so() -> None:
    table = grid_table()
    w2s = table[table["method"] == "w2s"]
    (grid,) = grids(pd.concat([table, w2s.assign(method="hard")]))
    (legend,) = gain_vs_eta_u.draw(grid).legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == ["W2S", "selective", "ceiling − teacher"]
    assert legend.get_title().get_text() == "Not drawn: hard (on the line of W2S)."
    (alone,) = grids(table)
    (plain,) = gain_vs_eta_u.draw(alone).legends
    assert plain.get_title().get_text() == ""
    names = (*METHODS, *(f"other_{k}" for k in range(8)))
    lift = {name: LIFT.get(name, 0.01 * k) for k, name in enumerate(names)}
    (crowd,) = grids(grid_table(methods=names, lift=lift, seeds=2))
    (many,) = gain_vs_eta_u.draw(crowd).legends
    assert "8 others (too many" in many.get_title().get_text().replace("\n", " ")


def inside(figure: Figure) -> bool:
    """Whether all that is drawn, text and legends too, lies on the canvas."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    return bool(min(box.x0, box.y0) > -0.02 and box.x1 < width + 0.02 and box.y1 < height + 0.02)


def test_no_text_leaves_the_canvas() -> None:
    variants = [{"keep": keep, "q": q} for keep in (0.25, 0.5) for q in (0.2, 0.7)]
    names = [f"selective[keep={v['keep']},q={v['q']}]" for v in variants]
    (grid,) = grids(
        grid_table(methods=(*METHODS, *names), lift={**LIFT, **dict.fromkeys(names, 0.09)})
    )
    varied = keep_q.variants(
        grid, of_settings({"vary": {"selective": {"keep": [0.25, 0.5], "q": [0.2, 0.7]}}})
    )
    assert varied is not None
    assert inside(keep_q.draw(grid, varied, (0.5, 0.7)))
    assert inside(gain_vs_eta_u.draw(grid))
    gain = mean_interval(np.array([0.1, 0.15, 0.15]))
    dots = [
        similarity.Dot("a_long_name_of_a_network", f"and_another_{k}", gain, 0.1 * k, 0.5)
        for k in range(4)
    ]
    assert inside(similarity.draw(dots))


@pytest.mark.parametrize(
    "folder", sorted(PREDICTED.glob("*/*/*/cells.csv.gz")), ids=lambda p: p.parts[-4]
)
def test_no_text_leaves_the_canvas_of_a_prediction(folder: Path) -> None:
    pair = storage.load(folder.parent)
    assert inside(maps.draw(pair.cells, pair.compared))
    assert pair.compared is not None
    compared = pair.compared.assign(
        **{name: pair.settings[name] for name in ("teacher", "student")}
    )
    for metric in ("average", "worst_group"):
        assert inside(measured.draw(compared, metric, maps.LABELS[metric]))
    assert inside(sizes.draw(pair.sizes, {name: pair.settings[name] for name in ("n_l", "n_u")}))


def squares(root: Path) -> ImageDataset:
    y, a = np.arange(12) // 2 % 2, np.arange(12) % 2
    for i in range(12):
        Image.new("RGB", (40, 30), (20 * i, 80 * int(y[i]), 80 * int(a[i]))).save(root / f"{i}.png")
    files = tuple(f"{i}.png" for i in range(12))
    groups = Groups(("l", "h"), ("g", "b"))
    split = np.zeros(12, dtype=np.int64)
    return ImageDataset("squares", y, a, split, groups, root=root, files=files)


def test_sample_sheet_shows_each_group(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    figure = samples.draw(dataset, per_group=4)
    assert len(figure.axes) == 16
    for row, axis in enumerate(figure.axes[::4]):
        assert dataset.groups.names[row] in axis.get_title(loc="left")
        assert "3 images" in axis.get_title(loc="left")
    shown = [len(axis.get_images()) for axis in figure.axes]
    assert shown == [1, 1, 1, 0] * 4


def test_sample_sheet_names_a_bad_image_and_leaves_out_what_is_masked(tmp_path: Path) -> None:
    dataset = squares(tmp_path)
    (tmp_path / "5.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"5\.png"):
        samples.draw(dataset)
    figure = samples.draw(dataset.only(np.arange(12) != 5))
    assert len(figure.axes) == 24
