"""The stance of torch's compiler, while steps are recorded and after."""

from threading import Event, Thread

import torch
import torch._dynamo
from torch._dynamo import eval_frame

from rnnkit_compiler.trace.uncompiled import without_dynamo


def stance():
    return eval_frame._stance.stance


def test_the_last_of_several_threads_puts_it_back():
    second, first_gone = Event(), Event()

    def follow():
        with without_dynamo():
            second.set()
            first_gone.wait(10)
            found.append(stance())

    found, thread = [], Thread(target=follow)
    with without_dynamo():
        thread.start()
        assert second.wait(10)
    found.append(stance())
    first_gone.set()
    thread.join()
    assert found == ["force_eager", "force_eager"]
    assert stance() == "default"


def test_what_fails_puts_it_back_too():
    try:
        with torch.compiler.set_stance("eager_on_recompile"), without_dynamo():
            raise KeyError
    except KeyError:
        assert stance() == "default"


def test_one_that_is_made_and_not_entered_changes_nothing():
    without_dynamo()
    assert stance() == "default"
