"""The backend that runs the plan with torch's operations: on any device, with any operation, differentiable at will."""
