"""Of the corpus: 16 plugins. Whatever is wrong with one, the others' cells work."""

from ..fake_site import HOOK
from .scene import TRAIN, Item, Scene

OFFER = "@rnnkit.hookimpl\ndef rnnkit_cells():\n    return "
BROKEN = "plugin fake-odd:odd is broken: "
STEP = """
class Odd(Fake):
    name = "odd"

    def step(self, p, state):
        {}

""" + HOOK.replace("Fake", "Odd")


def asked_for(source: str):
    """Ask for the cell of a module that says so."""

    def make(scene: Scene):
        scene.plugin(source)
        return (*TRAIN, "--cell", "odd")

    return make


def diagnosed(source: str, name: str = "odd"):
    """Have the plugins looked at."""

    def make(scene):
        scene.plugin(source, name=name)
        return ("doctor",)

    return make


def checked(body: str):
    """Check a cell whose step is that."""

    def make(scene):
        scene.plugin(STEP.format(body), name="plain")
        return ("check", "odd")

    return make


def twins(scene):
    scene.plugin(HOOK, "fake-alpha", "1.2")
    scene.plugin(HOOK, "fake-beta", "3.4")
    return (*TRAIN, "--cell", "odd")


RESULT = "h = torch.tanh(p @ self.weight.t() + state[0])\n        "

PLUGINS = (
    Item("raises on import", asked_for("raise RuntimeError('no luck')"), 4, (BROKEN, "RuntimeError: no luck")),
    Item("does not parse", asked_for("def odd(:"), 4, (BROKEN, "SyntaxError: invalid syntax")),
    Item("lacks a dependency", asked_for("import no_such_thing"), 4, (BROKEN, "No module named 'no_such_thing'")),
    Item("exits on import", asked_for("import sys\nsys.exit(3)"), 4, (BROKEN, "sys.exit(3)")),
    Item("loops on import", asked_for("while True:\n    pass"), 4, (BROKEN, "more than 3 s", "RNNKIT_PLUGIN_SECONDS")),
    Item("offers what is no cell", asked_for(OFFER + "[dict]"), 4, (BROKEN, "dict is not a Cell", "rnnkit.Cell")),
    Item("has no step", asked_for("class Odd(rnnkit.Cell):\n    name = 'odd'\n" + OFFER + "[Odd]"), 4, ("step",)),
    Item("returns too many states", checked(RESULT + "return h, (h, h)"), 3, ("'odd'", "2 state tensors", "declares")),
    Item("returns a state of another shape", checked(RESULT + "return h, (h[:, :-1],)"), 3, ("'odd'", "(3, 4)")),
    Item("returns another dtype", checked(RESULT + "return h, (h.half(),)"), 3, ("'odd'", "float16", "float64")),
    Item(
        "writes into its input",
        checked("h = torch.tanh(p @ self.weight.t() + state[0].mul_(0.5))\n        return h, (h,)"),
        3,
        ("'odd'", "in place"),
    ),
    Item(
        "cannot be differentiated", checked(RESULT + "h = h.detach()\n        return h, (h,)"), 3, ("'odd'", "gradient")
    ),
    Item("draws random numbers in a step", checked(RESULT + "return h + torch.rand_like(h), (h,)"), 3, ("draws",)),
    Item("has the name of another's", twins, 4, ("'odd'", "fake-alpha 1.2 and fake-beta 3.4", "RNNKIT_PLUGINS")),
    Item("has the name of a cell of ours", diagnosed(HOOK, "lstm"), 4, (BROKEN, "shadows", "'lstm'", "another")),
    Item("asks for a later rnnkit", asked_for("from rnnkit import Later"), 4, (BROKEN, "'Later'", "a later rnnkit")),
)
