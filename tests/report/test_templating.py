import pytest
from jinja2 import UndefinedError

from corticode.report.canvas import new_figure
from corticode.report.templating import data_address, render


def test_text_is_escaped():
    figure = {"title": "<script>\"&'", "source": "", "alt": '"><img>', "caption": ""}
    page = render("figure.html", figure=figure)
    assert "<script>" not in page
    assert "&lt;script&gt;&#34;&amp;&#39;" in page
    assert 'alt="&#34;&gt;&lt;img&gt;"' in page


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        render("figure.html")


def test_a_figure_holds_itself():
    figure, _ = new_figure(20, 20)
    assert data_address(figure).startswith("data:image/png;base64,iVBOR")
