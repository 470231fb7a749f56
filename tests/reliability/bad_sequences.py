"""Of the corpus: 26 more files with labels, what runs that give labels are asked for, and texts."""

from .bad_labels import RUN, STEPS, TEXTS, classified, objects, tagged
from .scene import Item, Scene

TINY = ("--set", "task.seq_len=4")


def text(content: str | bytes | None, *words: object):
    """Learn a text."""

    def make(scene: Scene):
        if content is not None:
            scene.text(content)
        return (*RUN, "--task", "chars", "--set", "task.text=text.txt", *words)

    return make


def labelled(content: str, *words: object):
    """Label sequences by a run that has learnt from reviews."""

    def make(scene: Scene):
        scene.learnt("classify", TEXTS)
        return ("predict", "run", "--data", scene.text(content, "new.csv").name, "--quiet", *words)

    return make


def streamed(scene: Scene):
    scene.learnt("classify", TEXTS)
    return ("predict", "run", "--follow")


def judged(change):
    """Judge a run whose file is another one now, of which it has no copy."""

    def make(scene: Scene):
        scene.learnt("classify", TEXTS, "--keep-data", 0)
        scene.text(change(TEXTS), "table.csv")
        return ("eval", "run")

    return make


def folder_of_steps(scene: Scene):
    (scene.folder / "names.conll").mkdir()
    return (*RUN, "--task", "tag", "--set", "task.file=names.conll")


RARE = "text,label\n" + "".join(f"w{at} x{at},{'ab'[at % 2]}\n" for at in range(20))
MOVES = objects("[[3, 4]]", "[[4, 3]]")

SEQUENCES = (
    Item(
        "labels alone", classified("label\na\nb\n" * 4, "labels.csv"), 6, ("has no column beside the labels; give one",)
    ),
    Item(
        "numbers beside labels",
        classified("x,label\n" + "1,good\n2,bad\n" * 9),
        6,
        ("has no column of texts beside the labels, only numbers", "give sequences of numbers as JSON"),
    ),
    Item(
        "JSON of blank lines", classified("\n\n", "m.jsonl"), 6, ("has nothing but blank lines; give an object a line",)
    ),
    Item(
        "a key that no object has",
        classified(MOVES, "m.jsonl", "--set", "task.label=move"),
        2,
        ("has no key 'move' in its first object; it has",),
    ),
    Item(
        "JSON without labels", classified('{"text": "so"}\n' * 9, "m.jsonl"), 6, ("no key that holds a label; name it",)
    ),
    Item(
        "JSON without sequences", classified('{"label": 1}\n' * 9, "m.jsonl"), 6, ("no key that holds a text or a seq",)
    ),
    Item(
        "an object that lacks a key",
        classified(MOVES + '{"sequence": [[1, 2]]}\n', "m.jsonl"),
        6,
        ("m.jsonl, line 5: there is no key 'label'",),
    ),
    Item(
        "a number for a sequence",
        classified(objects("7"), "m.jsonl"),
        6,
        (
            "line 3",
            "give a text, or a list with an",
        ),
    ),
    Item("blank lines for labels", classified("\n \n"), 6, ("reviews.csv has nothing but blank lines; give a table",)),
    Item(
        "names above no labels", classified("text,label\n"), 6, ("has no rows below the names in line 1; give a table",)
    ),
    Item(
        "one column for both",
        classified(TEXTS, "reviews.csv", "--set", "task.text=text", "--set", "task.label=text"),
        6,
        ("cannot hold both texts and labels; name another with text= or label=",),
    ),
    Item(
        "words that are all rare",
        classified(RARE, "reviews.csv", "--set", "task.tokens=word"),
        6,
        ("so that all would be one unknown; give more of them",),
    ),
    Item(
        "a folder of steps", folder_of_steps, 6, ("names.conll is a folder; give one file, with a label for each step",)
    ),
    Item(
        "JSON of steps", tagged(MOVES, "m.jsonl"), 6, ("m.jsonl is JSON; give tokens in columns (CoNLL), or a table",)
    ),
    Item(
        "a token of one line without a label", tagged("anna\nbob\n"), 6, ("a token without a label; write the label",)
    ),
    Item(
        "a step without a label",
        tagged(STEPS.replace("walk", "", 1), "watch.csv"),
        6,
        ("watch.csv, line 2: the label is missing; give one",),
    ),
    Item(
        "a season of labels", labelled(TEXTS, "--season", 7), 2, ("is of forecasts, and this run gives labels; leave",)
    ),
    Item("a stream of texts", streamed, 2, ("data of task 'classify' do not come line by line; give --data FILE",)),
    Item("sequences for texts", labelled(MOVES), 6, ("new.csv, line 1: there is no key 'text'",)),
    Item("fewer sequences than then", judged(lambda t: t[: t.index("bad", 99) + 4]), 6, ("when the run was made; g",)),
    Item("other sequences than then", judged(lambda t: t.replace("was", "is")), 6, ("that the run knew have changed",)),
    Item("a text that is not there", text(None), 6, ("text.txt does not exist; give a UTF-8 text file",)),
    Item(
        "a text that is too short", text("abc"), 6, ("text.txt has 3 characters, too few: 90 % of them must be more",)
    ),
    Item(
        "a text of other symbols",
        text("ab" * 99, "--set", "task.tokens=letter"),
        2,
        ("tokens is 'letter'; it must be",),
    ),
    Item(
        "a vocabulary of characters",
        text("ab " * 99, "--set", "task.vocabulary=9"),
        2,
        ("vocabulary is for words; leave",),
    ),
    Item(
        "a text too short for its streams", text("ab" * 99, "--batch", 64, *TINY), 6, ("too few for 64 streams of 4",)
    ),
)
