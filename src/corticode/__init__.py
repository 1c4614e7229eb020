"""Decode behaviour from cortex-wide calcium imaging, in animals the decoder never saw.

A catalogue names recordings (`read_catalogue`). Each becomes a session on one clock
(`open_session`); sessions are cut into windows with something to say of each (`cut_windows`);
folds say which animals train, validate and test (`leave_animals_out`, `split_windows`). A decoder
is fitted (`fit`), speaks on windows it never saw (`predict`) and is scored by session (`score`).
The command line does the same for a whole study: ``corticode run STUDY --out RUN``.
"""

from typing import TYPE_CHECKING

import lazy_loader

__version__ = "0.1.0"

if TYPE_CHECKING:
    from corticode.data.catalogue import Recording, read_catalogue
    from corticode.data.folds import (
        Fold,
        leave_animals_out,
        leave_blocks_out,
        leave_sessions_out,
        split_windows,
    )
    from corticode.data.preprocess import Preprocessing
    from corticode.data.session import Session, open_session
    from corticode.data.targets import Target
    from corticode.data.windows import Windows, WindowShape, cut_windows
    from corticode.decode.decoder import Decoder, Network, Training, load_decoder
    from corticode.decode.estimator import RegionDecoder
    from corticode.decode.fit import fit, predict
    from corticode.decode.predictions import Predictions
    from corticode.evaluate.tables import score
    from corticode.runs import Run

# The same names, loaded at first use, so that importing the package costs nothing.
_lazy_getattr, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "data.catalogue": ["Recording", "read_catalogue"],
        "data.folds": [
            "Fold",
            "leave_animals_out",
            "leave_blocks_out",
            "leave_sessions_out",
            "split_windows",
        ],
        "data.preprocess": ["Preprocessing"],
        "data.session": ["Session", "open_session"],
        "data.targets": ["Target"],
        "data.windows": ["WindowShape", "Windows", "cut_windows"],
        "decode.decoder": ["Decoder", "Network", "Training", "load_decoder"],
        "decode.estimator": ["RegionDecoder"],
        "decode.fit": ["fit", "predict"],
        "decode.predictions": ["Predictions"],
        "evaluate.tables": ["score"],
        "runs": ["Run"],
    },
)
__getattr__ = _lazy_getattr
