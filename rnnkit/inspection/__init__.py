"""What a recurrent cell does: gradients, Jacobians, gates and memory, as numbers, a sentence and a picture."""

from rnnkit.inspection.gate_activity import Gate, GateActivity, gate_activity
from rnnkit.inspection.gradient_flow import GradientFlow, gradient_flow
from rnnkit.inspection.jacobian import JacobianSpectrum, jacobian_spectrum, step_jacobian
from rnnkit.inspection.result import Inspection

__all__ = [
    "Gate",
    "GateActivity",
    "GradientFlow",
    "Inspection",
    "JacobianSpectrum",
    "gate_activity",
    "gradient_flow",
    "jacobian_spectrum",
    "step_jacobian",
]
