"""What has to run on a GPU: `make test-gpu` runs it there, and each test on the CPU too, which tests the tests.

A test that takes `device` is run on each of `DEVICES`; on what this machine has not, it is skipped, saying so.
"""

import pytest

DEVICES = ("cpu", "cuda")


def pytest_generate_tests(metafunc):
    """Run what asks for a device on each, and mark what needs a GPU."""
    if "device" in metafunc.fixturenames:
        places = [pytest.param(name, marks=[pytest.mark.gpu] if name == "cuda" else []) for name in DEVICES]
        metafunc.parametrize("device", places, indirect=True)


@pytest.hookimpl(tryfirst=True)  # before what is slow is left out
def pytest_collection_modifyitems(items):
    """Leave all but a test's first case on the CPU to `make test-all`: it is there to test the test."""
    seen = set()
    for item in items:
        place = getattr(item, "callspec", None) and item.callspec.params.get("device")
        if item.path.parent.name != "gpu" or place != "cpu" or item.get_closest_marker("slow"):
            continue
        if item.originalname in seen:
            item.add_marker(pytest.mark.slow)
        seen.add(item.originalname)


@pytest.fixture
def device(request):
    """Return the device to compute on, and skip where there is none."""
    import torch

    found = torch.device(request.param)
    if found.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU: torch finds no CUDA or ROCm device here")
    return found


@pytest.fixture
def there(device):
    """Let all tensors be made on the device, and products of float32 be exact: rounding is told from error so."""
    import torch

    may_set = torch.backends.__allow_nonbracketed_mutation  # which torch's own tests forbid, where they ran before
    with may_set(), pytest.MonkeyPatch.context() as patch, device:
        patch.setattr(torch.backends.cudnn, "allow_tf32", False)
        yield device
