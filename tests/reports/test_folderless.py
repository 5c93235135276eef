"""Names of networks in a report have no folder of one machine."""

from __future__ import annotations

import pytest

from w2s_groups.reports import folderless


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("module//home/me/net.py:f", "module/net.py:f"),
        ("module//net.py:f@/w/a.pth", "module/net.py:f@a.pth"),
        ("torchvision/resnet18@/w/a.pth", "torchvision/resnet18@a.pth"),
        ("file//x/y z/features.npz", "file/features.npz"),
        ("ntk/module//a/net.py:f", "ntk/module/net.py:f"),
        ("module/own/net.py:f", None),
        ("hf/owner/name@main", None),
        ("packaged/squeezenet1_1", None),
    ],
)
def test_an_absolute_path_is_its_last_name(name: str, shown: str | None) -> None:
    assert folderless.names({"teacher": [name]}) == ({} if shown is None else {name: shown})


def test_two_files_of_one_name_keep_their_folders() -> None:
    settings = {"teacher": ["file//a/x.npy", "file//b/x.npy"], "student": "file//c/y.npy"}
    assert folderless.names(settings) == {"file//c/y.npy": "file/y.npy"}
    named = {"teacher": ["file//a/x.npy", "file/x.npy"]}
    assert folderless.names(named) == {}


def test_every_entry_of_the_settings_is_renamed() -> None:
    known = {"file//a/x.npy": "file/x.npy"}
    settings = {"pair": [{"teacher": "file//a/x.npy", "width": {"file//a/x.npy": 3}}], "l2": 0.1}
    assert folderless.of(settings, known) == {
        "pair": [{"teacher": "file/x.npy", "width": {"file/x.npy": 3}}],
        "l2": 0.1,
    }
