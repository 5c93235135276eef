from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from w2s_groups.core.errors import InputError
from w2s_groups.data.files import debian
from w2s_groups.data.files.cache import check

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
OCEAN = "usr/share/tuxpaint/templates/ocean_waves.jpg"
WANTED = {"tuxpaint-data": [OCEAN]}


@pytest.fixture
def deb(tmp_path: Path) -> Path:
    """A package made here: two files, and a link that nobody should follow."""
    root = tmp_path / "root"
    for name, text in (("DEBIAN/control", ""), ("usr/a.txt", "a"), ("usr/sub/b.txt", "b" * 99)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "usr" / "c.txt").symlink_to("/etc/hostname")
    (root / "DEBIAN" / "control").write_text(
        "Package: thing\nVersion: 1:2.3-4\nArchitecture: all\n"
        "Maintainer: M <m@example.org>\nDescription: d\n"
    )
    (root / "DEBIAN").chmod(0o755)
    path = tmp_path / "thing_2.3-4_all.deb"
    subprocess.run(["dpkg-deb", "--build", root, path], check=True, capture_output=True)
    return path


def _stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Put an apt-get that runs `script` first on the path, with package sources present."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "apt-get").chmod(0o755)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "sources.list").write_text("deb x y z\n")
    monkeypatch.setattr(debian, "_SOURCES", tmp_path / "etc")
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


def test_no_apt_names_the_alternative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"apt-get is missing.*data=colored_digits.*data\.cutouts"):
        debian.fetch(WANTED, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@needs_dpkg
def test_no_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, tmp_path, "exit 0")
    (tmp_path / "etc" / "sources.list").unlink()
    with pytest.raises(InputError, match="no package sources"):
        debian.fetch(WANTED, tmp_path / "cache")


@needs_dpkg
@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        (
            "W: Failed to fetch x  Temporary failure resolving 'h'",
            "could not be downloaded.*resolv",
        ),
        ("E: Unable to locate package tuxpaint-data", "tuxpaint-data is not in .* universe"),
        ("E: Write error - write (28: No space left on device)", "No space left.*free some space"),
        ("", "gave no reason"),
    ],
)
def test_failing_download_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str, message: str
) -> None:
    script = f'echo "{stderr}" >&2\ncase "$*" in *" update") exit 0;; *) exit 100;; esac'
    _stand_in(monkeypatch, tmp_path, script)
    with pytest.raises(InputError, match=message):
        debian.fetch(WANTED, tmp_path / "cache")
    assert list((tmp_path / "cache" / "debian").iterdir()) == []


@needs_dpkg
def test_fetch_unpacks_what_is_wanted_and_keeps_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    # the package's copyright file is always wanted; this one has none under that name
    script = f'case "$*" in *" download thing") cp {deb} .; echo x >> {tmp_path}/calls;; esac'
    _stand_in(monkeypatch, tmp_path, script)
    wanted = {"thing": ["usr/a.txt", "usr/*b.txt"]}
    with pytest.raises(InputError, match="no file usr/share/doc/thing/copyright"):
        debian.fetch(wanted, tmp_path / "cache")
    assert list((tmp_path / "cache" / "debian").iterdir()) == []
    monkeypatch.setattr(debian, "COPYRIGHT", "usr/a.txt")
    for _ in range(2):
        files = debian.fetch(wanted, tmp_path / "cache")
    assert (tmp_path / "calls").read_text() == "x\nx\n"  # the failed one and one more
    assert files["usr/a.txt"].read_text() == "a"
    assert files["usr/*b.txt"].read_text() == "b" * 99
    folder = debian.package_folder("thing", wanted["thing"], tmp_path / "cache")
    assert list((tmp_path / "cache" / "debian").iterdir()) == [folder]
    assert debian.versions(wanted, tmp_path / "cache") == {"thing": "1:2.3-4"}
    files["usr/a.txt"].write_text("")  # cut short behind our back: fetched anew
    assert debian.fetch(wanted, tmp_path / "cache")["usr/a.txt"].read_text() == "a"
    assert check(folder) == ""


@needs_dpkg
@pytest.mark.parametrize("pattern", ["usr/none.txt", "usr/c.txt"])
def test_missing_file_is_named(tmp_path: Path, deb: Path, pattern: str) -> None:
    with pytest.raises(InputError, match=f"has no file {pattern}: this release"):
        debian.unpack_files(deb, ["usr/a.txt", pattern], tmp_path / "out")


@needs_dpkg
def test_damaged_package(tmp_path: Path, deb: Path) -> None:
    assert debian.version(deb) == "1:2.3-4"
    deb.write_bytes(deb.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"thing_2\.3-4_all\.deb"):
        debian.unpack_files(deb, ["usr/a.txt", "usr/sub/b.txt"], tmp_path / "out")
    deb.write_text("<html>")
    with pytest.raises(InputError, match="not a valid package"):
        debian.version(deb)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
def test_real_package_without_touching_the_system(tmp_path: Path) -> None:
    watched = [Path("/var/lib/apt/lists"), Path("/var/cache/apt/archives")]

    def state() -> list[tuple[str, int]]:
        return [(e.path, e.stat().st_mtime_ns) for path in watched for e in os.scandir(path)]

    before = state()
    files = debian.fetch(WANTED, tmp_path)
    assert state() == before
    assert files[OCEAN].read_bytes()[:3] == b"\xff\xd8\xff"  # a JPEG file
