"""Decode behaviour from cortex-wide calcium imaging, in animals the decoder never saw.

A catalogue names recordings (`read_catalogue`). Each becomes a session on one clock
(`open_session`); sessions are cut into windows with something to say of each (`cut_windows`);
folds say which animals train, validate and test (`leave_animals_out`, `split_windows`). A decoder
is fitted (`fit`), speaks on windows it never saw (`predict`) and is scored by session (`score`).
A whole study at once is `run_study`, or ``corticode run STUDY --out RUN``.

Modules lie in folders in the order of the data's life: data, simulate, decode, evaluate, explain,
study (what is asked), run (doing it and keeping it), report; each imports from earlier ones alone.
"""

import lazy_loader

__version__ = "0.1.0"

# The names stand in __init__.pyi and load at first use: importing the package costs nothing.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
