"""HTML from templates; the only module that imports jinja2. Everything a user wrote is escaped."""

import base64
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from corticode.report.canvas import Figure, picture


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("corticode.report"),
        # Always, not by file name: a template that is included is escaped like all others.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """A template filled with values, all of them escaped.

    Examples
    --------
    >>> "&lt;b&gt;" in render("figure.html", figure={"title": "<b>", "source": "", "alt": "",
    ...     "caption": ""})
    True
    """
    return _environment().get_template(template).render(**values)


def data_address(figure: Figure) -> str:
    """A figure as the address of an image that holds itself, for ``<img src>``."""
    return "data:image/png;base64," + base64.b64encode(picture(figure)).decode("ascii")
