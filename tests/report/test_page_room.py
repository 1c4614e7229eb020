import pytest

from corticode.report.page_room import GIVING_WAY, LARGEST_PAGE, Heavy, fit_to_page


@pytest.fixture
def heavy():
    figures = [{"title": f"{k}", "source": "x" * 2_500_000} for k in range(4)]
    return Heavy(figures, [{"rows": [[1]]}], {}, {"bytes": "x" * 4_000_000})


def test_figures_that_have_no_room_are_counted(make_values, heavy):
    fitted = fit_to_page(make_values(), heavy)
    assert [one["title"] for one in fitted.heavy.figures] == ["0", "1"]
    assert fitted.words[0].startswith("the last 2 figures have no room")


def test_sessions_take_what_is_left(make_values, make_trace, heavy):
    traces = [make_trace(session=f"{k}", n_frames=300_000) for k in range(8)]
    fitted = fit_to_page(make_values(traces=traces), heavy)
    # 15 MB less 5 of figures, 4 of the movie and 2 of words: five sessions of 0.8 MB.
    assert (len(fitted.traces), fitted.n_without_room) == (4, 4)
    assert len(str(fitted.traces)) < LARGEST_PAGE - 11_000_000


def test_parts_give_way_in_turn(make_values, make_trace, heavy):
    values = make_values(traces=[make_trace()])
    found = [fit_to_page(values, heavy, n) for n in range(len(GIVING_WAY) + 1)]
    assert [bool(one.traces) for one in found] == [True, False, False, False, False]
    assert [one.heavy.clip is not None for one in found] == [True, True, False, False, False]
    assert [bool(one.heavy.tables) for one in found] == [True, True, True, False, False]
    assert [bool(one.heavy.figures) for one in found] == [True, True, True, True, False]
    assert len(found[-1].words) == 4
    assert found[1].n_without_room == 1


def test_nothing_is_said_where_all_has_room(make_values, make_trace):
    fitted = fit_to_page(make_values(traces=[make_trace()]), Heavy([], [], {}, None))
    assert (fitted.words, fitted.n_without_room) == ([], 0)
