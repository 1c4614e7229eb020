import numpy as np
import pandas as pd
import pytest

from corticode.report.values import RunValues, SessionTrace

FOUR = {"m1": 0.90, "m2": 0.80, "m3": 0.70, "m4": 0.60}


@pytest.fixture
def make_values():
    """A maker of small runs: gru, its linear twin and its control, two sessions an animal."""

    def make(animals=("m1", "m2", "m3"), *, name="gru", extra=(), auc=0.9, **fields):
        study = {
            "folds": {"by": "animal"},
            "condition": [
                {"name": name, "network": {"kind": "gru"}, "target": {"signal": "runrest"}},
                {"name": "linear", "network": {"kind": "linear-window"},
                 "target": {"signal": "runrest"}},
                {"name": "permuted", "network": {"kind": "gru"}, "target": {"signal": "runrest"},
                 "permute_labels": "sessions"},
                *({"name": one, "network": {"kind": "rnn"}} for one in extra),
            ],
        }  # fmt: skip
        level = {name: auc, "linear": auc - 0.05, "permuted": 0.5} | dict.fromkeys(extra, 0.7)
        rows = [
            {"condition": condition, "fold": f"test-{animal}", "seed": 0, "test_animal": animal,
             "valid_animal": "x", "animal": animal, "session": session, "n_windows": 900,
             "first_frame": 15, "last_frame": 914, "base_rate": 0.4 + 0.1 * k, "look_ahead_s": 0.5,
             "auc": value + 0.01 * k, "brier": 0.1, "balanced_accuracy": 0.8, "n_bouts_0": 5,
             "n_bouts_1": 4, "blank_because": ""}
            for condition, value in level.items()
            for k, animal in enumerate(animals)
            for session in ("monday", "tuesday")
        ]  # fmt: skip
        sessions = pd.DataFrame(rows)
        scores = sessions.drop_duplicates(["condition", "fold"]).assign(
            auc_session_mean=lambda table: table["auc"]
        )
        animal_scores = (
            sessions.groupby(["condition", "animal"], sort=False)["auc"].mean().rename("value")
        ).reset_index()
        animal_scores.insert(2, "metric", "auc")
        animal_scores = animal_scores.assign(
            sd_decoders=np.nan, n_decoders=1, n_sessions=2, n_bouts=18.0
        )
        tables = {
            "scores": scores,
            "session_scores": sessions,
            "animal_scores": animal_scores,
            "excluded": pd.DataFrame(columns=["what", "animal", "session", "item", "reason"]),
        }
        tables |= fields.pop("tables", {})
        return RunValues("run", tables=tables, study=study, **fields)

    return make


@pytest.fixture
def make_trace():
    """A maker of sessions in which 60 frames of rest and of running take turns."""

    def make(animal="m1", session="monday", *, condition="gru", n_frames=600, noise=0.2, seed=0):
        rng = np.random.default_rng(seed)
        target = (np.arange(n_frames) // 60 % 2).astype(np.float32)
        score = np.clip(0.2 + 0.6 * target + noise * rng.normal(size=n_frames), 0, 1)
        return SessionTrace(
            condition, animal, session, 15, score.astype(np.float32), target, "binary", 30.0, 0.9
        )

    return make


@pytest.fixture
def make_run():
    """A maker of runs that may be compared: conditions by name with each animal's value."""

    def make(name="a", conditions=None, *, settings=None, folds=None, data=None, **changes):
        conditions = {"gru": FOUR} if conditions is None else conditions
        by_default = {
            "input": "traces",
            "network": {"kind": "gru"},
            "training": {"epochs": 30},
            "target": {"signal": "run", "kind": "binary"},
        }
        study = {
            "data": {"catalogue": "sessions.csv", "trim_frames": 0} | (data or {}),
            "folds": {"by": "animal"} | (folds or {}),
            "condition": [{"name": one} | by_default | (settings or {}) for one in conditions],
        }
        rows = [
            {"condition": condition, "fold": f"test-{animal}", "seed": seed, "test_animal": animal,
             "valid_animal": "x", "animal": animal, "session": session, "first_frame": 15,
             "last_frame": 914, "n_windows": 900, "base_rate": 0.4, "auc": value,
             "n_bouts_0": 5, "n_bouts_1": 4, "blank_because": ""}
            for condition, values in conditions.items()
            for animal, value in values.items()
            for session in ("monday", "tuesday")
            for seed in changes.get("seeds", [0])
        ]  # fmt: skip
        sessions = pd.DataFrame(rows)
        for column, value in changes.get("sessions", {}).items():
            sessions[column] = value
        animals = sessions.groupby(["condition", "animal"], sort=False)["auc"]
        animals = animals.mean().rename("value").reset_index().assign(metric="auc")
        recordings = {
            f"{animal}/{session}": f"hash of {animal}"
            for values in conditions.values()
            for animal in values
            for session in ("monday", "tuesday")
        }
        provenance = {
            "versions": {"corticode": "0.1.0", "numpy": "2.0"},
            "seeds": changes.get("seeds", [0]),
            "simulated": changes.get("simulated", False),
            "recordings": recordings | changes.get("recordings", {}),
        }
        tables = {
            "scores": sessions.drop_duplicates(["condition", "fold", "seed"]),
            "session_scores": sessions,
            "animal_scores": animals,
        }
        return RunValues(name, tables=tables, study=study, provenance=provenance)

    return make
