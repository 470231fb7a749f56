"""The kernels of a step: those of training and that of inference, each library compiled when it is first wanted."""

from concurrent.futures import ThreadPoolExecutor

from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.backends.cpp.building.build import build
from rnnkit_compiler.backends.cpp.building.compilation import CompileError
from rnnkit_compiler.backends.cpp.code.kernel_source import generate
from rnnkit_compiler.backends.cpp.kernel import Kernel
from rnnkit_compiler.backends.cpp.library import functions_with_contractions, library_of
from rnnkit_compiler.schedule.plan import KernelPlan

TRAINING = ("Forward", "Backward")
INFERENCE = ("Inference",)


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
            return self.compile(INFERENCE if name in INFERENCE else TRAINING)
        except CompileError as error:
            self._failures[name] = str(error)
            raise Unfit(str(error)) from error

    def compile(self, names: tuple[str, ...]) -> Kernel:
        """Compile the library of these functions.

        Raises:
            CompileError: there is no compiler, or it fails.
        """
        source = generate(self._plan, names, self._title, self._comment)
        shared = [library_of, *([functions_with_contractions] if source.contractions else [])]
        with ThreadPoolExecutor(len(shared)) as pool:  # so that all are compiled at the same time, the first time
            of_dtype = [pool.submit(each, self.dtype, self._narrow) for each in shared]
            library = build(source.text)
            for compiled in of_dtype:
                compiled.result()
        kernel = Kernel(library, source, self.dtype, self._narrow)
        self._libraries |= dict.fromkeys(names, kernel)
        return kernel
