"""Of the corpus: 12 command lines."""

from .scene import RESUME, TRAIN, Item, Scene


def given(*words: object):
    """Train with these words."""

    def make(scene: Scene):
        return (*TRAIN, "--task", "adding", *words)

    return make


def changed(scene):
    scene.run()
    return (*RESUME, "--hidden", 7)


ARGUMENTS = (
    Item("an unknown cell", given("--cell", "lsmt"), 2, ("unknown cell 'lsmt'", "did you mean 'lstm'?")),
    Item("no units", given("--hidden", 0), 2, ("'--hidden': 0", "1")),
    Item("k2 below k1", given("--tbptt", "5,3"), 2, ("'--tbptt': '5,3'",)),
    Item("a learning rate of NaN", given("--lr", "nan"), 2, ("'--lr': 'nan'",)),
    Item("float16 on a CPU", given("--dtype", "float16"), 2, ("'--dtype': 'float16'", "'float32'")),
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
)
