"""Files out of named Debian packages: no root, and the system's own package lists untouched."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from w2s_groups.core.errors import InputError
from w2s_groups.data.files.cache import Progress, built, check, key, recorded, silent, writing

ALTERNATIVE = (
    "use data=colored_digits, which needs no package, or cut-outs of your own with "
    "data=composite data.cutouts=... data.backgrounds=..."
)
COPYRIGHT = "usr/share/doc/{}/copyright"  # kept with the files of each package
_SOURCES = Path("/etc/apt")
# Read after the system's own configuration, whose hooks would touch the system's package cache.
_NO_HOOKS = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


def fetch(
    wanted: Mapping[str, Sequence[str]], cache: Path, progress: Progress = silent
) -> dict[str, Path]:
    """The wanted files of each package, downloaded and unpacked below cache/debian at first use.

    wanted: package name -> patterns (fnmatch, relative to /), each meeting exactly one file of the
    package. Returns pattern -> path on disk. Only these files and the copyright file are kept: a
    package is deleted once unpacked. Raises InputError that names the alternative where apt-get or
    dpkg-deb is missing, the download fails, or a package lacks a wanted file.
    """
    folders = {name: package_folder(name, patterns, cache) for name, patterns in wanted.items()}
    missing = [name for name, folder in folders.items() if check(folder) != ""]
    if missing:
        require_apt()
        step = f"fetching {', '.join(missing)}"
        progress(step, 0, len(missing))
        with (
            writing(cache / "debian", step),
            tempfile.TemporaryDirectory(dir=cache / "debian", prefix=".partial-apt-") as work,
        ):
            debs = download(missing, Path(work))

            def unpack(name: str) -> None:
                recipe = {"package": name, "version": version(debs[name])}
                patterns = [*wanted[name], COPYRIGHT.format(name)]
                built(
                    folders[name],
                    recipe,
                    lambda folder, _: unpack_files(debs[name], patterns, folder),
                    step,
                )

            with ThreadPoolExecutor(len(missing)) as pool:  # each waits for a dpkg-deb of its own
                for done, _ in enumerate(pool.map(unpack, missing), start=1):
                    progress(step, done, len(missing))
    return {
        pattern: _resolve(folders[name], pattern, name)
        for name, patterns in wanted.items()
        for pattern in patterns
    }


def versions(wanted: Mapping[str, Sequence[str]], cache: Path) -> dict[str, str]:
    """Package name -> version that `fetch` unpacked: another release carries another one."""
    return {
        name: str(recorded(package_folder(name, patterns, cache))["recipe"]["version"])
        for name, patterns in wanted.items()
    }


def package_folder(name: str, patterns: Sequence[str], cache: Path) -> Path:
    """Where the wanted files of one package live."""
    return cache / "debian" / f"{name}-{key({'files': sorted(patterns)})}"


def require_apt() -> None:
    """Raise InputError unless this system can fetch Debian packages."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise InputError(
                f"{tool} is missing: this dataset is made from packages that Debian and Ubuntu "
                f"can fetch; elsewhere {ALTERNATIVE}"
            )
    lists = [_SOURCES / "sources.list", *(_SOURCES / "sources.list.d").glob("*.*")]
    if not any(path.suffix in (".list", ".sources") and path.is_file() for path in lists):
        raise InputError(f"apt has no package sources in {_SOURCES}: add one, or {ALTERNATIVE}")


def download(names: Sequence[str], work: Path) -> dict[str, Path]:
    """Package files of `names` (name -> path), fetched into the empty folder `work`.

    apt reads the system's sources and keys, and keeps lists and packages in `work` only; it checks
    each package against the signed lists.
    """
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "apt.conf").write_text(_NO_HOOKS, encoding="ascii")
    options = {
        "Dir::State::Lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
        "APT::Sandbox::User": "root",  # for root only: user _apt may not write in our folder
    }
    apt = ["apt-get", "--config-file", str(work / "apt.conf"), "--quiet", "--assume-yes"]
    apt += [f"--option={name}={value}" for name, value in options.items()]
    problems = ""
    for arguments in (["update"], ["download", *names]):
        done = subprocess.run(
            [*apt, *arguments],
            cwd=work,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        problems += done.stderr
    # update forgives sources that are out of reach; download is what counts
    if done.returncode != 0:
        raise InputError(_why(problems, names))
    debs = {name: list(work.glob(f"{name}_*.deb")) for name in names}
    for name, paths in debs.items():
        if len(paths) != 1:
            raise InputError(f"apt-get left {len(paths)} files for package {name}; {ALTERNATIVE}")
    return {name: paths[0] for name, paths in debs.items()}


def _why(problems: str, names: Sequence[str]) -> str:
    """The sentence for a failed download, from what apt-get wrote on stderr."""
    lines = [line[2:].strip() for line in problems.splitlines() if line[:2] in ("E:", "W:")]
    unreachable = next((line for line in lines if line.startswith("Failed to fetch")), "")
    unknown = next((line for line in lines if "locate package" in line), "")
    full = next((line for line in lines if "space" in line), "")
    if full:
        return f"packages {', '.join(names)} could not be downloaded: {full}; free some space"
    if unknown and not unreachable:
        return (
            f"package {unknown.split()[-1]} is not in this system's package sources; on Ubuntu it "
            f"is in the component universe: enable that, or {ALTERNATIVE}"
        )
    reason = unreachable or (lines[-1] if lines else "apt-get gave no reason")
    return (
        f"packages {', '.join(names)} could not be downloaded ({reason}); check the network and "
        f"run again, or {ALTERNATIVE}"
    )


def version(deb: Path) -> str:
    """Version of a package file. Raises InputError if it is not a valid package."""
    done = subprocess.run(
        ["dpkg-deb", "--field", str(deb), "Version"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise InputError(
            f"{deb.name} is not a valid package ({reason}); run again to fetch it anew"
        )
    return done.stdout.strip()


def unpack_files(deb: Path, patterns: Sequence[str], folder: Path) -> None:
    """Unpack the regular files of `deb` that the patterns name, and no others, below `folder`.

    Raises InputError if the package is damaged or a pattern meets no file.
    """
    left = set(patterns)
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    met = {pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)}
                    content = archive.extractfile(member) if met and member.isfile() else None
                    if content is None or name.startswith("/") or ".." in name.split("/"):
                        continue
                    target = folder / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    left -= met
        except (tarfile.TarError, EOFError) as error:
            raise InputError(f"{deb.name} is damaged ({error}); run again") from error
        finally:
            process.kill()
    if left:
        raise InputError(
            f"{deb.name} has no file {min(left)}: this release of the package differs from the "
            f"one that the dataset was made for; {ALTERNATIVE}"
        )


def _resolve(folder: Path, pattern: str, package: str) -> Path:
    if (folder / pattern).is_file():
        return folder / pattern
    names = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    met = fnmatch.filter(names, pattern)
    if len(met) != 1:
        raise InputError(
            f"package {package}: {pattern} meets {len(met)} files, not one; {ALTERNATIVE}"
        )
    return names[met[0]]
