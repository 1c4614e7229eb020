"""The tables of a run, each once: what it is called, which columns a page shows, how to ask for it.

What stands in each column is in docs/run-folder.md, which a test holds to what runs write.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A row of `TABLES`.

    Parameters
    ----------
    title
        Its heading on a page.
    way
        How to get one, where a run has none.
    shown
        Names of the columns that a page shows, in order; none: it has its own place there, or none.
    made_by
        ``"module.function"`` in `corticode.run` that makes it from what a run scored
        (`corticode.run.score_tables.Scored`); none: it is written with others of its kind.
    is_of_maps
        Whether it is made of maps: it is then written anew by ``corticode explain`` too.
    """

    title: str
    way: str = ""
    shown: str = ""
    made_by: str = ""
    is_of_maps: bool = False


# In the order in which they are made, and shown.
TABLES: Mapping[str, Table] = {
    "scores": Table("Scores of each fit"),
    "session_scores": Table("Scores by session"),
    "animal_scores": Table("Scores by animal"),
    "condition_scores": Table(
        "Pooled scores of every condition", made_by="score_tables.make_condition_scores"
    ),
    "published": Table("Beside the published values"),
    "published_splits": Table("Beside the published values, split by split"),
    "confounds": Table(
        "Does decoding exceed the measured confounds?",
        "name conditions under [[confounds]] of the study file",
        "condition confounds input animal metric value low high n_animals reliability verdict",
        made_by="score_tables.make_confounds",
    ),
    "region_sets": Table(
        "Necessary, and sufficient?",
        "name sets of regions under [[region_set]] of the study file",
        # Older runs call the verdicts needed and enough.
        "condition set value_all value_without value_only necessary sufficient needed enough "
        "judged_by percentile p words rank_words linear_words",
        made_by="score_tables.make_region_sets",
    ),
    "learning_curve": Table(
        "How much does more training data help?",
        "ask for learning curves with [[learning_curve]] in the study file",
        "condition varied amount animal metric value low high n_animals",
        made_by="score_tables.make_learning_curves",
    ),
    "generalisation": Table(
        "Within sessions, across sessions, across animals",
        "ask for it with [[generalisation]] in the study file",
        "condition tested against animal metric value low high n_animals p",
        made_by="score_tables.make_generalisation",
    ),
    "cross_temporal": Table(
        "Trained at one lag, tested at another",
        "name a sweep of shifts under [[cross_temporal]] of the study file",
        made_by="transfer_tables.make_cross_temporal",
    ),
    "groups": Table(
        "Groups of animals",
        "name each animal's group in the catalogue, column 'group'",
        "condition metric group against method n n_against value low high p p_holm smallest_p note",
        made_by="score_tables.make_groups",
    ),
    "comparisons": Table(
        "Comparisons",
        "no conditions are set against each other",
        "comparison condition_a condition_b metric method unit n effect low high p p_holm "
        "same_direction disagrees note",
        made_by="score_tables.make_comparisons",
    ),
    "nulls": Table(
        "Each animal against its own labels in other orders",
        "it takes several sessions of an animal, or one of 100 times the autocorrelation time of "
        "its labels and scores",
        "condition animal metric value permuted_mean n_sessions exchanged n_orders p p_pairs "
        "smallest_p n_blocks p_shift decoder note",
        made_by="score_tables.make_nulls",
    ),
    "detection": Table(
        "Detection: thresholds set on validation rest, achieved in each test animal",
        "it takes a target of two classes and a known frame rate",
        made_by="score_tables.make_detection",
    ),
    "calibration": Table(
        "Calibration: are probabilities and thresholds right in each test animal?",
        "it takes a target of two classes",
        made_by="score_tables.make_calibration",
    ),
    "trial_time": Table(
        "When trials can be decoded",
        "name a condition of trials under [[trial_time]] of the study file",
        "condition animal lag_s first_s last_s metric value low high n_trials p p_holm",
        made_by="score_tables.make_trial_time",
    ),
    "day_trends": Table("What changes over the days", made_by="score_tables.make_day_trends"),
    "variance_shares": Table(
        "What the spread over decoders comes from",
        "it takes several folds or seeds that test each animal",
        "condition metric n_animals n_splits n_seeds share_test_animal share_training_set "
        "share_seed",
        made_by="score_tables.make_variance_shares",
    ),
    "shift_references": Table(
        "Shifted targets beside reference lines", made_by="score_tables.make_shift_references"
    ),
    "region_correlations": Table(
        "Correlation of each region with the behaviour",
        made_by="score_tables.make_region_correlations",
    ),
    "map_shares": Table("Shares of regions, by decoder", is_of_maps=True),
    "map_regions": Table(
        "Regions of the maps",
        "ask for maps with [[map]] in the study file",
        "condition map rank region share low high n_animals",
        is_of_maps=True,
    ),
    "map_frames": Table("Frames of the maps", is_of_maps=True),
    "map_checks": Table(
        "Checks of the maps",
        "they come with maps by Deep SHAP",
        "condition map control regions trained limit passed words",
        is_of_maps=True,
    ),
    "map_permuted": Table(
        "Regions against permuted labels",
        "it comes with maps by Deep SHAP of a condition that has its like with permuted labels",
        "condition map region value permuted_value n_decoders n_permuted p_splits_holm difference "
        "low high p_holm n_animals",
        is_of_maps=True,
    ),
    "map_backgrounds": Table(
        "How the maps settle with their background",
        "it comes with maps by Deep SHAP",
        "condition map n_background largest_change region top_share rank_correlation words",
        is_of_maps=True,
    ),
    "map_stability": Table(
        "Agreement of the maps",
        "it comes with maps of several decoders",
        "condition map differs n_pairs rank_correlation shared_top words",
        is_of_maps=True,
    ),
    "map_deletion": Table("Curves of taking regions away", is_of_maps=True),
    "occlusion": Table(
        "What covering costs",
        "ask for maps of kind occlusion with [[map]] in the study file",
        "condition map mask metric score low high p n_animals",
        is_of_maps=True,
    ),
    "excluded": Table("What was left out, and why"),
}
# Those that a page shows as they are.
SHOWN = {name: table for name, table in TABLES.items() if table.shown}
# Columns whose values are names or words, though an animal be called 7 or NA.
TEXT_COLUMNS = frozenset(
    {
        "condition",
        "confounds",
        "comparison",
        "condition_a",
        "condition_b",
        "fitted_as",
        "method",
        "unit",
        "same_direction",
        "exchanged",
        "decoder",
        "figure",
        "data",
        "settings",
        "fold",
        "test_animal",
        "valid_animal",
        "test_mouse",
        "valid_mouse",
        "animal",
        "session",
        "region",
        "map",
        "kind",
        "mask",
        "control",
        "regions",
        "differs",
        "set",
        "needed",
        "enough",
        "necessary",
        "sufficient",
        "judged_by",
        "rank_words",
        "linear_words",
        "input",
        "verdict",
        "words",
        "note",
        "metric",
        "blank_because",
        "what",
        "item",
        "reason",
        "quantity",
        "varied",
        "tested",
        "sweep",
        "group",
        "against",
    }
)
