"""Weights from model hubs: a local copy first, a short question before any download, plain errors.

Also here, for all sources: random networks that are the same every time, errors with near matches.
"""

from __future__ import annotations

import difflib
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

from w2s_groups.core.errors import InputError
from w2s_groups.core.seeds import stream

PACKAGED = "packaged/squeezenet1_1, packaged/efficientnet_lite0 and packaged/efficientnet_lite2"
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".npz", ".tar")
PATIENCE = 10.0  # seconds to wait for a hub's first answer


def torch_file(spec: str, url: str, checksum: str | None) -> Path:
    """The file of `url` in torch's hub folder, downloaded if it isn't there."""
    file = url.rsplit("/", 1)[-1]
    folder = Path(str(torch.hub.get_dir())) / "checkpoints"
    path: Path = folder / file
    if not path.is_file():
        try:
            reach(url)
            folder.mkdir(parents=True, exist_ok=True)
            # Writes a temporary file and renames it once its checksum is right.
            torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum)
        except (OSError, RuntimeError) as error:  # no network; a page instead of the file
            raise InputError(
                f"{spec} needs {file}, which can't be downloaded ({error}): put it "
                f"into {folder}, or use {PACKAGED}, which need no download"
            ) from error
    return path


def hf_file(spec: str, repo: str, names: Sequence[str], revision: str | None = None) -> Path:
    """The first of `names` that a Hugging Face repository has: its cached copy, or a download.

    HF_HOME, HF_HUB_OFFLINE and HF_ENDPOINT mean what they mean to huggingface_hub.
    """
    import huggingface_hub
    from huggingface_hub import constants, errors

    check_repo(spec, repo)
    for name in names:
        found = huggingface_hub.try_to_load_from_cache(repo, name, revision=revision)
        if isinstance(found, str):
            return Path(found)
    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        reach(constants.ENDPOINT)
        for name in names:
            try:
                return Path(huggingface_hub.hf_hub_download(repo, name, revision=revision))
            except errors.EntryNotFoundError:
                continue
        reason = "the repository has no such file"
    except Exception as error:  # the hub's client has some ten kinds, not all of one family
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
    raise InputError(
        f"{spec} needs {' or '.join(names)} of the Hugging Face repository {repo}, which can't be "
        f"downloaded ({reason}) and is not in {constants.HF_HUB_CACHE}: fill that cache where "
        f"there is a network, name a local copy after an @, or use {PACKAGED}, which need none"
    )


def check_repo(spec: str, repo: str) -> None:
    """InputError for what no repository of the hub can be called."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InputError(
            f"{spec}: {repo!r} is neither a folder that is there nor a repository of the Hugging "
            "Face hub, such as OWNER/NAME; correct it"
        ) from error


def hf_files_there(repo: str, names: Sequence[str], revision: str | None = None) -> None:
    """Download those of `names` that a repository has, unless one is in the cache already."""
    import huggingface_hub
    from huggingface_hub import constants

    known = (huggingface_hub.try_to_load_from_cache(repo, n, revision=revision) for n in names)
    if constants.HF_HUB_OFFLINE or any(isinstance(cached, str) for cached in known):
        return
    try:
        reach(constants.ENDPOINT)
        there = set(huggingface_hub.list_repo_files(repo, revision=revision))
        for name in there.intersection(names):
            huggingface_hub.hf_hub_download(repo, name, revision=revision)
    except Exception:  # whatever could not be had is missed by its name afterwards
        return


def reach(url: str) -> None:
    """OSError within PATIENCE unless `url` answers: the hubs' own clients retry for minutes."""
    outcome: list[Exception] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=PATIENCE):
                pass
        except Exception as error:
            outcome.append(error)

    # urlopen's timeout does not cover a name server that never answers: a thread can be abandoned.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {PATIENCE:g} s")
    if outcome:
        reason = getattr(outcome[0], "reason", outcome[0])
        raise OSError(str(reason)) from outcome[0]


def need(spec: str, package: str, extra: str) -> None:
    """InputError that names the extra unless `package` is installed."""
    if find_spec(package) is None:
        raise InputError(
            f"{spec} needs the package {package}; run pip install 'w2s_groups[{extra}]'"
        )


def is_path(weights: str) -> bool:
    """Whether what stands after the @ is a file rather than one of a library's names."""
    path = Path(weights)
    return os.sep in weights or path.suffix in SUFFIXES or path.exists()


def check_file(spec: str, path: Path) -> None:
    """InputError if there is no such file."""
    if not path.is_file():
        raise InputError(f"{spec}@{path} names a weights file that is missing; correct the path")


def unknown(kind: str, name: str, known: Collection[str], where: str) -> InputError:
    """Error for an unknown name among too many to list: near matches, and `where` they are."""
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(match) for match in near)}? " if near else ""
    return InputError(f"{kind}={name!r} is unknown: {hint}{where} lists all {len(known)}")


def random_seed(name: str) -> int:
    """Seed of the random network of that name."""
    return int(stream(0, f"backbone/{name}").integers(2**63))


def random_weights(name: str, library: ModuleType) -> tuple[int, str]:
    """Seed of the random network of that name, and what stands for its weights.

    The draw depends on the seed and on the code that draws: torch, and the library of the network.
    """
    seed, version = random_seed(name), library.__version__
    return seed, f"random {seed}, torch {torch.__version__}, {library.__name__} {version}"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the generator that torch's initialisers use, and puts it back as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
