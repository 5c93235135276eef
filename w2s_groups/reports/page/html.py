"""Templates of the page. Every value is escaped on its way into one."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from jinja2 import Environment


class Asset(NamedTuple):
    """A style sheet or script as it stands in the page, and the hash that allows it there."""

    text: Markup
    digest: str


def render(template: str, **values: Any) -> Markup:
    """HTML of a template of this package. Values are escaped unless they are Markup."""
    return Markup(_environment().get_template(f"{template}.html.jinja").render(**values).strip())


def asset(name: str) -> Asset:
    """A file of this package that becomes part of the page as it is."""
    text = "\n" + files(__package__).joinpath(name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Asset(Markup(text), f"sha256-{digest}")


def as_base64(png: bytes) -> str:
    """Content of a data: address."""
    return base64.b64encode(png).decode()


def breakable(text: str) -> Markup:
    """A name such as `selective[keep=0.3,q=0.7]`, which may break at `[`, `,` and `_`."""
    parts = escape(text).replace(",", Markup(",<wbr>")).replace("[", Markup("<wbr>["))
    return parts.replace("_", Markup("_<wbr>"))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # only where a page is made

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["breakable"] = breakable
    return environment
