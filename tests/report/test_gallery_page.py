from corticode.report.canvas import new_figure
from corticode.report.gallery_page import render_gallery


def test_figures_below_their_titles():
    page = render_gallery({"Fig. <6>": new_figure(20, 20)[0]})
    assert "<h2>Fig. &lt;6&gt;</h2>" in page
    assert page.count("<img") == 1
    assert "http" not in page.replace("http-equiv", "")
