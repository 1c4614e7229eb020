"""How long a window takes: tried on few, projected to all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corticode.data.prepared import prepare_sessions
from corticode.decode.settings import Network, Training
from corticode.run.fit_speeds import Speed, kind_of, measure_speed
from corticode.study.study import read_study, resolve

SPEED = Speed(0.002, 0.001, 10)


@pytest.fixture
def condition(cohort):
    return resolve(read_study(cohort / "study.toml").conditions[0], 10.0)


def test_by_hand():
    # Two epochs over half of 1000 windows; 100 checked as often, twice an epoch; 400 predicted.
    training = Training(epochs=2, share=0.5, validations=2)
    assert SPEED.seconds(Network("gru"), training, 1000, 100, 300) == pytest.approx(
        1000 * 0.002 + 200 * 0.001 + 400 * 0.001
    )
    assert SPEED.seconds(Network("linear-frame"), training, 1000, 100, 300) == 2.0


@given(st.integers(1, 100), st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_windows_and_epochs_take_longer(epochs, n_train, n_valid):
    def seconds(epochs, n_train):
        return SPEED.seconds(Network("gru"), Training(epochs=epochs), n_train, n_valid, 1)

    assert seconds(epochs + 1, n_train) > seconds(epochs, n_train)
    assert seconds(epochs, n_train + 1) > seconds(epochs, n_train)


def test_kinds_are_told_apart_by_what_takes_time(condition):
    assert kind_of(condition) == kind_of(replace(condition, name="b", regions=(1,)))
    longer = replace(condition, window=replace(condition.window, after=6))
    assert kind_of(condition) != kind_of(longer)
    assert kind_of(condition) != kind_of(replace(condition, network=Network("lstm")))


@pytest.mark.parametrize("kind", ["gru", "linear-window"])
def test_windows_of_one_class_do_for_the_time(condition, simulate, kind):
    session = simulate(n_frames=200)
    rest = replace(session, behavior={"run": 0 * session.behavior["run"]})
    condition = replace(condition, network=Network(kind))
    speed = measure_speed([rest], prepare_sessions([rest]), condition)
    assert speed.train_s > 0
    # 11 frames of 3 regions and a constant, beside scales; or a gru.
    assert speed.n_weights > 30
