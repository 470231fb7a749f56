"""Of the corpus: 6 plugins that cannot be begun."""

from .scene import Item, Scene


def begun(*words: object):
    """Begin a plugin with these words."""

    def make(scene: Scene):
        return ("new", *words)

    return make


def begun_again(scene):
    (scene.folder / "rnnkit-mine").mkdir()
    return ("new", "plugin", "mine")


BEGINNINGS = (
    Item("a folder that is there", begun_again, 2, ("rnnkit-mine exists already", "--out")),
    Item("a name with a blank", begun("plugin", "my cell"), 2, ("'my cell' is no name", "dashes")),
    Item("the name of a cell", begun("plugin", "gru"), 2, ("cell 'gru' is there already", "rnnkit 0.1.0", "--cell")),
    Item(
        "a cell that is no word", begun("plugin", "mine", "--cell", "my-cell"), 2, ("'my-cell' is no name for a cell",)
    ),
    Item("the name of a package of ours", begun("plugin", "zoo"), 2, ("'rnnkit-zoo' is taken", "another name")),
    Item("a place that is not there", begun("plugin", "mine", "--out", "no/where"), 8, ("no/where cannot be written",)),
)
