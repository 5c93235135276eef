"""Tables of names: built in, of packages, of the process; each name stands for one thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed import write_metadata

from w2s_groups.core import plugins
from w2s_groups.core.errors import InputError
from w2s_groups.core.plugins import SESSION, Origin, Registry

FILE = Origin("/home/somebody/mine.py", "mine.py")


def table() -> Registry[Any]:
    return Registry("tool", "test.tools", {"own": 1}, lambda name, loaded, origin: (loaded, origin))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages on sys.path, with the modules of this test's plug-ins."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins.forget()
    yield tmp_path
    plugins.forget()


def offer(site: Path, package: str, **points: str) -> None:
    write_metadata(site, package, "1.5", {"test.tools": points})


def test_names_are_known_without_an_import_and_loaded_once(site: Path) -> None:
    (site / "saws.py").write_text("made = [object()]\n")
    offer(site, "saws", saw="saws:made", broken="nowhere:gone")
    known = table()
    assert list(known) == ["own", "broken", "saw"]
    assert "broken" in known
    assert known.plugins()["saw"] == "the package saws 1.5"
    loaded, origin = known["saw"]
    assert (origin.package, origin.version) == ("saws", "1.5")
    assert known["saw"][0] is loaded
    assert known["own"] == 1  # which the broken one does not disturb


def test_a_broken_one_is_one_sentence_once_it_is_asked_for(site: Path) -> None:
    offer(site, "saws", broken="nowhere:gone")
    with pytest.raises(InputError, match=r"tool broken of the package saws 1\.5 cannot be .*gone"):
        table()["broken"]


def test_a_name_of_two_sources_is_refused(site: Path) -> None:
    offer(site, "saws", own="x:y", saw="x:y")
    offer(site, "drills", saw="x:y", drill="x:y")
    known = table()
    with pytest.raises(InputError, match=r"tools are called own: .*itself.* package saws 1\.5"):
        known["own"]
    with pytest.raises(InputError, match=r"called saw: .*package drills.*package saws"):
        known["saw"]
    with pytest.raises(InputError, match=r"called drill: .*package drills.*mine\.py"):
        known.register("drill", 3, FILE)


def test_a_session_replaces_its_own_and_nothing_else() -> None:
    known = table()
    known.register("saw", 2, SESSION)
    known.register("saw", 3, SESSION)
    assert known["saw"] == 3
    assert "saw" in known
    assert known.origin("saw") is known.origin_of(3) is SESSION
    known.register("own", 1, SESSION)  # the built-in entry itself
    for name in ("own", "saw"):
        with pytest.raises(InputError, match=rf"called {name}: .*mine\.py; rename"):
            known.register(name, 4, FILE)
    with pytest.raises(KeyError):
        known["drill"]
