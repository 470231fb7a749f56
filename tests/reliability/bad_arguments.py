"""Of the corpus: 27 command lines."""

from .scene import RESUME, TRAIN, Item, Scene


def given(*words: object):
    """Train with these words."""

    def make(scene: Scene):
        return (*TRAIN, "--task", "adding", *words)

    return make


def changed(scene):
    scene.run()
    return (*RESUME, "--hidden", 7)


def checked(*words: object):
    """Check gradients with these words."""

    def make(scene: Scene):
        scene.text("dear", "letter.txt")
        return ("gradcheck", *words)

    return make


CASE = "lstm/loop/packed/bi/first"


def outdated(scene: Scene):
    """Check a case where another was recorded that no longer holds."""
    verdict = '"outcome": "passed", "error": 0.0, "component": "", "reason": "", "by_loop": false'
    (scene.folder / "matrix").mkdir()
    scene.text("", "matrix/lock")
    scene.text(f'{{"case": "gru{CASE[4:]}", {verdict}, "seconds": 0.1, "digest": "old"}}\n', "matrix/records.jsonl")
    return ("gradcheck", "--case", CASE, "--out", "matrix")


ARGUMENTS = (
    Item("an unknown cell", given("--cell", "lsmt"), 2, ("unknown cell 'lsmt'", "did you mean 'lstm'?")),
    Item("no units", given("--hidden", 0), 2, ("'--hidden': 0", "1")),
    Item("k2 below k1", given("--tbptt", "5,3"), 2, ("'--tbptt': '5,3'",)),
    Item("a learning rate of NaN", given("--lr", "nan"), 2, ("'--lr': 'nan'",)),
    Item("a precision that there is not", given("--dtype", "float8"), 2, ("'--dtype': 'float8'", "'float16'")),
    Item(
        "a backend that there is not",
        given("--unroller", "compiled", "--set", "unroller.backend=cuda"),
        2,
        ("backend is 'cuda'", "cpp, triton, torch"),
    ),
    Item(
        "a kernel without its backend",
        given("--unroller", "compiled", "--set", "unroller.kernel=grid"),
        2,
        ("kernel='grid' with backend=None", "backend='triton' has sequence, grid, steps"),
    ),
    Item(
        "rows that are to start again by what there is not",
        given("--unroller", "vendor", "--set", "unroller.restarts=loop"),
        2,
        ("restarts is 'loop'", "pieces, compiled, or None"),
    ),
    Item("a device that there is not", checked("--device", "gpu"), 2, ("device 'gpu'", "try cpu or cuda")),
    Item("a device for the matrix", checked("--matrix", "--device", "cuda"), 2, ("--device cuda", "on the CPU")),
    Item(
        "float16 measured on a CPU",
        lambda scene: ("bench", "--dtype", "float16"),
        2,
        ("--dtype float16", "give --device too"),
    ),
    Item(
        "a device to show all of them",
        lambda scene: ("doctor", "--device", "cuda"),
        2,
        ("--device goes with --compile",),
    ),
    Item("a projection wider than the state", given("--set", "cell.proj_size=3"), 2, ("proj_size", "3")),
    Item("options that contradict each other", given("--text", "text.txt"), 2, ("'adding'", "no option 'text'")),
    Item("a run resumed with other settings", changed, 2, ("hidden is 4",)),
    Item("a negative k1", given("--tbptt", "-1,3"), 2, ("'--tbptt': '-1,3'",)),
    Item("a huge seed", given("--seed", 10**20), 2, ("'--seed'", str(10**20))),
    Item(
        "a cell that an unroller refuses",
        given("--unroller", "scan"),
        2,
        ("'scan'", "cell 'lstm' is not linear in its state", "sigmoid"),
    ),
    Item("no iterations", given("--unroller", "newton", "--set", "unroller.iterations=0"), 2, ("iterations is 0",)),
    Item("stretches of no steps", given("--unroller", "rtrl", "--set", "unroller.steps=0"), 2, ("steps is 0",)),
    Item("a case that there is not", checked("--case", CASE + "s"), 2, ("'firsts'", "did you mean 'first'?")),
    Item("a case, and what chooses cases", checked("--case", CASE, "--matrix"), 2, ("--case names", "leave out")),
    Item("sizes for the matrix", checked("--matrix", "--hidden", 3), 2, ("--hidden", "sizes of its own")),
    Item("two cells where one is checked", checked("--cell", "lstm,gru"), 2, ("names 2 cells", "--matrix")),
    Item("processes where one is enough", checked("--jobs", 2), 2, ("--jobs goes with --matrix",)),
    Item(
        "a cache to be cleared and filled",
        lambda scene: ("doctor", "--clear-cache", "--compile", "lstm"),
        2,
        ("--clear-cache and --compile exclude each other",),
    ),
    Item("a matrix among other files", checked("--matrix", "--out", "."), 2, ("--out .", "something else")),
    Item(
        "a matrix beside one of other versions",
        outdated,
        2,
        ("other cases that no longer hold (1, such as gru/", "another folder"),
    ),
)
