"""Hooks of MkDocs, so that the site shows the pages as the repository does.

Links to files outside docs/ lead to the repository, at the version of the site, and an underscore
is a character of a symbol such as μ_ξ, never emphasis.
"""

from __future__ import annotations

import os
import posixpath
import re
import tomllib
from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(\]\()(\.\./[^)\s#]*)")


class Symbols(Extension):
    """Markdown without emphasis by underscores, which the pages never use."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.delimiters.remove("_")


def on_config(config: Any) -> Any:
    """Take the address of the repository from pyproject.toml, its one place."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.repo_url = project["urls"]["Repository"]
    config.markdown_extensions.append(Symbols())
    return config


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page with the links that begin with ../ made absolute."""
    version = os.environ.get("READTHEDOCS_GIT_IDENTIFIER", "main")
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def absolute(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[2]))
        return f"{link[1]}{config.repo_url}/blob/{version}/{path}"

    return _LINK.sub(absolute, markdown)
