from .data.catalogue import Recording as Recording
from .data.catalogue import read_catalogue as read_catalogue
from .data.folds import Fold as Fold
from .data.folds import leave_animals_out as leave_animals_out
from .data.folds import leave_blocks_out as leave_blocks_out
from .data.folds import leave_sessions_out as leave_sessions_out
from .data.folds import split_windows as split_windows
from .data.preprocess import Preprocessing as Preprocessing
from .data.session import Session as Session
from .data.session import open_session as open_session
from .data.targets import Target as Target
from .data.trials import TrialTimes as TrialTimes
from .data.windows import Windows as Windows
from .data.windows import WindowShape as WindowShape
from .data.windows import cut_windows as cut_windows
from .decode.decoder import Decoder as Decoder
from .decode.decoder import load_decoder as load_decoder
from .decode.estimator import RegionDecoder as RegionDecoder
from .decode.fit import fit as fit
from .decode.predict import predict as predict
from .decode.predictions import Predictions as Predictions
from .decode.settings import Network as Network
from .decode.settings import Training as Training
from .evaluate.scores import score as score
from .explain.deepshap import deep_shap as deep_shap
from .explain.importance_map import ImportanceMap as ImportanceMap
from .explain.occlusion import occlude as occlude
from .report.export import export_run as export_run
from .report.write import write_comparison as write_comparison
from .report.write import write_report as write_report
from .run.check import check_study as check_study
from .run.execute import run_study as run_study
from .run.folder import Run as Run
from .run.preprocess import preprocess as preprocess
from .simulate.cohort import simulate_sessions as simulate_sessions

__version__: str
__all__: list[str]
