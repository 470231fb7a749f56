"""What a recurrent cell does: gradients, Jacobians, gates and memory, as numbers, a sentence and a picture."""

from rnnkit.inspection.gate_activity import Gate, GateActivity, gate_activity
from rnnkit.inspection.gradient_flow import GradientFlow, gradient_flow
from rnnkit.inspection.jacobian import JacobianSpectrum, jacobian_spectrum, step_jacobian
from rnnkit.inspection.recording import Recording, record
from rnnkit.inspection.replay import Replay, replay
from rnnkit.inspection.result import Inspection
from rnnkit.inspection.state_trajectory import StateTrajectory, state_trajectory

__all__ = [
    "Gate",
    "GateActivity",
    "GradientFlow",
    "Inspection",
    "JacobianSpectrum",
    "Recording",
    "Replay",
    "StateTrajectory",
    "gate_activity",
    "gradient_flow",
    "jacobian_spectrum",
    "record",
    "replay",
    "state_trajectory",
    "step_jacobian",
]
