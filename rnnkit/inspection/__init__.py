"""What a recurrent cell does: gradients, Jacobians, gates and memory, as numbers, a sentence and a picture."""

from rnnkit.inspection.cell_facts import CellFacts
from rnnkit.inspection.comparison import CellComparison, compare_cells
from rnnkit.inspection.context import EffectiveMemory, effective_memory
from rnnkit.inspection.explosions import ExplodingSteps, Explosion, exploding_steps
from rnnkit.inspection.flow import GradientFlow, gradient_flow
from rnnkit.inspection.gates import Gate, GateActivity, gate_activity
from rnnkit.inspection.jacobian import JacobianSpectrum, jacobian_spectrum, step_jacobian
from rnnkit.inspection.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from rnnkit.inspection.recording import Recording, record
from rnnkit.inspection.replay import Replay, replay
from rnnkit.inspection.result import Inspection
from rnnkit.inspection.saliency import InputSaliency, input_saliency
from rnnkit.inspection.trajectory import StateTrajectory, state_trajectory
from rnnkit.inspection.truncation import TruncationBias, truncation_bias

__all__ = [
    "CellComparison",
    "CellFacts",
    "EffectiveMemory",
    "ExplodingSteps",
    "Explosion",
    "Gate",
    "GateActivity",
    "GradientFlow",
    "InputSaliency",
    "Inspection",
    "JacobianSpectrum",
    "LyapunovSpectrum",
    "Recording",
    "Replay",
    "StateTrajectory",
    "TruncationBias",
    "compare_cells",
    "effective_memory",
    "exploding_steps",
    "gate_activity",
    "gradient_flow",
    "input_saliency",
    "jacobian_spectrum",
    "lyapunov_spectrum",
    "record",
    "replay",
    "state_trajectory",
    "step_jacobian",
    "truncation_bias",
]
