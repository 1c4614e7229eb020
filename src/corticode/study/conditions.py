"""A condition of a study with every choice made: what a fit is made from."""

from dataclasses import dataclass

from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.preprocess import Preprocessing
from corticode.data.targets import Target
from corticode.data.windows import WindowShape
from corticode.decode.settings import Network, Training, check_network
from corticode.errors import StudyError
from corticode.explain.settings import Selection


@dataclass(frozen=True)
class Condition:
    """A condition with every choice made, lengths in frames."""

    name: str
    preprocessing: Preprocessing
    window: WindowShape
    network: Network
    training: Training
    target: Target
    regions: tuple[int | str, ...] | None
    permute_labels: str | None
    keep_train: bool
    input: str = "traces"
    pixels: PixelPreprocessing | None = None
    start_from: str | None = None
    folds: tuple[str, ...] | None = None
    selection: Selection | None = None
    behavior: tuple[str, ...] = ()
    train_animals: int | None = None
    train_frames: int | None = None
    folds_by: str | None = None
    train_groups: tuple[str, ...] | None = None
    test_groups: tuple[str, ...] | None = None
    permutation: int | None = None

    @property
    def beside(self) -> tuple[str, ...]:
        """Signals of the behaviour files that it reads beside what it decodes."""
        return tuple(dict.fromkeys((*self.behavior, *self.target.beside)))

    def __post_init__(self) -> None:
        check_network(self.network, self.target.kind, self.input)
        if self.network.kind == "cnn" and self.window.n_frames != 1:
            raise StudyError(
                f"network kind 'cnn' reads one image and the window holds {self.window.n_frames}; "
                "give window = { before = 0, after = 0 }, or kind = 'cnn-gru'"
            )
