"""Of the corpus: 12 ways in which the machine lacks something."""

from .scene import RESUME, TRAIN, Item, Scene


def full(share: float):
    """Have the disk full after that share of what a run writes."""

    def make(scene: Scene):
        scene.leaves = True
        scene.before("full_disk", after=int(share * WRITTEN))
        return (*TRAIN, "--task", "adding", "--steps", 4, "--save-every", 1)

    return make


WRITTEN = 60_000
"""Bytes, about."""


def read_only(scene):
    scene.leaves = True
    scene.before("owned_by_nobody")
    scene.before("read_only", run="run", step=2)
    return (*TRAIN, "--task", "adding", "--steps", 4, "--save-every", 1)


def no_memory(scene):
    scene.request["limits"] = {"memory": 2**28}
    return (*TRAIN, "--task", "adding", "--hidden", 6000)


def no_cuda(scene):
    scene.request["environment"] = {"CUDA_VISIBLE_DEVICES": ""}
    return (*TRAIN, "--task", "adding", "--device", "cuda")


def no_memory_on_the_device(scene):
    scene.before("out_of_memory_on_the_device")
    return (*TRAIN, "--task", "adding")


def no_more_files(scene):
    scene.run()
    scene.request["limits"] = {"files": 1}
    return RESUME


FULL = ("run", "No space left on device")
ON = ("once that is mended, go on with: rnnkit run --resume run",)

RESOURCES = (
    *(Item(f"the disk full after {100 * share:g} %", full(share), 8, FULL) for share in (0.001, 0.2)),
    *(Item(f"the disk full after {100 * share:g} %", full(share), 8, FULL + ON) for share in (0.4, 0.6, 0.9)),
    Item("a folder that becomes read-only", read_only, 8, ("run", "Permission denied", *ON)),
    Item("a limit on memory", no_memory, 8, ("out of memory", "lower --batch, --seq-len or --hidden")),
    Item("no CUDA device", no_cuda, 8, ("device 'cuda' is not usable here",)),
    Item(
        "no CUDA device to measure on",
        lambda scene: ("bench", "--device", "cuda"),
        8,
        ("device 'cuda' is not usable here",),
    ),
    Item(
        "no CUDA device to look on",
        lambda scene: ("inspect", "--cell", "lstm", "--device", "cuda:1"),
        8,
        ("device 'cuda:1' is not usable here",),
    ),
    Item("no more memory on the device", no_memory_on_the_device, 8, ("out of memory", "lower --batch")),
    Item("too many open files", no_more_files, 8, ("run", "Too many open files")),
)
