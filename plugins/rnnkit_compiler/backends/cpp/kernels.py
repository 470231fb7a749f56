"""The kernels of a step: those of training and that of inference, each library compiled when it is first wanted."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.backends.cpp.building.build import build
from rnnkit_compiler.backends.cpp.building.compilation import CompileError
from rnnkit_compiler.backends.cpp.code.kernel_source import Source, generate
from rnnkit_compiler.backends.cpp.kernel import Kernel
from rnnkit_compiler.backends.cpp.library import few_of, functions_with_contractions, library_of
from rnnkit_compiler.schedule.plan import KernelPlan

TRAINING = ("Forward", "Backward")
INFERENCE = ("Inference",)

LARGE = 1500
"""Lines of a source from which each function is compiled by itself, beside the others: what all include is then read
more than once, which takes less time than is saved where there are two processors."""


class Kernels:
    """The kernels of one step.

    Args:
        plan: what they do.
        title: names the cell in the source.
        comment: the cell's equation, for the source.
        narrow: round factors to bfloat16 where the processor multiplies them.
    """

    def __init__(self, plan: KernelPlan, title: str, comment: str, narrow: bool) -> None:
        self.dtype, self._narrow = plan.step.dtype, narrow
        self._plan, self._title, self._comment = plan, title, comment
        self._libraries: dict[str, Kernel] = {}
        """By the name of each function in it."""
        self._failures: dict[str, str] = {}

    def library(self, name: str) -> Kernel:
        """Return the library of a function, compiled by now or not.

        Raises:
            Unfit: it cannot be compiled, though another of this step could be.
        """
        library = self._libraries.get(name)
        if library is not None:
            return library
        if name in self._failures:
            raise Unfit(self._failures[name])
        try:
            self.compile(INFERENCE if name in INFERENCE else TRAINING)
        except CompileError as error:
            self._failures[name] = str(error)
            raise Unfit(str(error)) from error
        return self._libraries[name]

    def compile(self, names: tuple[str, ...]) -> None:
        """Compile these functions.

        Raises:
            CompileError: there is no compiler, or it fails.
        """
        sources = {names: self._source(names)}
        if len(names) > 1 and sources[names].text.count("\n") >= LARGE:
            sources = {(name,): self._source((name,)) for name in names}
        shared: list[Callable[[torch.dtype, bool], object]] = [library_of]
        if any(source.contractions for source in sources.values()):
            shared.append(functions_with_contractions)
        if names == INFERENCE:  # of a step at a time, maybe
            shared.append(few_of)
        with ThreadPoolExecutor(len(sources) + len(shared)) as pool:  # so that all are compiled at the same time
            of_dtype = [pool.submit(each, self.dtype, self._narrow) for each in shared]
            compiled = {own: pool.submit(build, source.text) for own, source in sources.items()}
            libraries = {own: one.result() for own, one in compiled.items()}
            for one in of_dtype:
                one.result()
        for own, source in sources.items():
            self._libraries |= dict.fromkeys(own, Kernel(libraries[own], source, self.dtype, self._narrow))

    def _source(self, names: tuple[str, ...]) -> Source:
        return generate(self._plan, names, self._title, self._comment)
