"""Of the corpus: 30 files and folders with labels, of sequences and of steps."""

from .scene import Item, Scene

TEXTS = "text,label\n" + "".join(f'"it was {word}, again",{word}\n' for word in ("good", "bad") * 5)
RUN = ("run", "--steps", 1, "--batch", 2, "--hidden", 2, "--quiet", "--out", "run")
STEPS = "ax,activity\n" + "".join(f"{row / 10},{'walk' if row % 20 < 10 else 'rest'}\n" for row in range(60))


def classified(content: str | bytes, name: str = "reviews.csv", *options: str):
    """Learn labels of sequences."""

    def make(scene: Scene):
        scene.text(content, name)
        return (*RUN, "--task", "classify", "--set", f"task.file={name}", *options)

    return make


def tagged(content: str | bytes, name: str = "names.conll", *options: str):
    """Learn labels of steps."""

    def make(scene: Scene):
        scene.text(content, name)
        return (*RUN, "--task", "tag", "--set", f"task.file={name}", *options)

    return make


def folder(files: dict[str, str]):
    """Learn labels from the names of sub-folders."""

    def make(scene: Scene):
        for name, content in files.items():
            (scene.folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            scene.text(content, f"data/{name}")
        return (*RUN, "--task", "classify", "--set", "task.file=data")

    return make


def tested(scene: Scene):
    scene.text(TEXTS, "reviews.csv")
    scene.text("text,label\nnot bad,mixed\n", "later.csv")
    return (*RUN, "--task", "classify", "--set", "task.file=reviews.csv", "--set", "task.test=later.csv")


def empty_label(scene: Scene):
    (scene.folder / "data" / "rare").mkdir(parents=True)
    return folder({"up/1.csv": "1\n2\n3\n", "up/2.csv": "2\n3\n4\n"})(scene)


def put_in(line: str, at: int = 6, text: str = TEXTS) -> str:
    """Return a file with a line more."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: at - 1], line + "\n", *lines[at - 1 :]])


def objects(*sequences: str) -> str:
    """Return JSON lines of sequences of one step of two features, then these."""
    rows = ["[[1, 2]]", "[[2, 1]]", *sequences]
    return "".join(f'{{"sequence": {row}, "label": {at % 2}}}\n' for at, row in enumerate(rows))


UP = {f"up/{at}.csv": "x,y\n1,2\n3,4\n" for at in range(3)}
WORDS = "anna B-PER\nsleeps O\n\nbob B-PER\nruns O\n"

LABELS = (
    Item("an empty table of texts", classified(""), 6, ("reviews.csv is empty; give a UTF-8 text file",)),
    Item(
        "one label alone", classified("text,label\na b,x\nc d,x\n"), 6, ("has one label alone, 'x'", "another one too")
    ),
    Item(
        "a column of labels that is not there",
        classified(TEXTS, "reviews.csv", "--set", "task.label=labels"),
        2,
        ("reviews.csv has no column 'labels' (did you mean 'label'?)", "it has text, label"),
    ),
    Item(
        "labels that cannot be told from texts",
        classified("".join(f"a {at},b {at}\n" for at in range(9))),
        6,
        ("reviews.csv has no column of labels; name the column with label=",),
    ),
    Item("a comma within a text", classified(put_in("so, so,bad")), 6, ("line 6: 3 cell(s), 2 in line 1", "in quotes")),
    Item("a quote within a text", classified(put_in('"so "so"",bad')), 6, ("reviews.csv, line 6: ", "quotes twice")),
    Item("texts that are not UTF-8", classified(TEXTS.encode() + b"\xff\xfe,bad\n"), 6, ("is not UTF-8 text (byte",)),
    Item("a binary file of texts", classified(TEXTS.encode() + bytes(99)), 6, ("reviews.csv is a binary file",)),
    Item("a text without a character", classified(put_in(",bad")), 6, ("line 6: the text is empty; write one, or",)),
    Item("a text without a label", classified(put_in("so so,")), 6, ("line 6: the label is missing; give one, or",)),
    Item("a label with one text", classified(put_in("fine,fine")), 6, ("line 6: the only sequence with label 'fine'",)),
    Item(
        "a label of the test that nothing trains", tested, 6, ("later.csv, line 2: label 'mixed'", "none that the run")
    ),
    Item(
        "JSON that breaks off",
        classified(objects("[[1, 2]]") + '{"sequence": [[1,\n', "moves.jsonl"),
        6,
        ("moves.jsonl, line 4 is not JSON", 'write an object a line: {"text"'),
    ),
    Item(
        "JSON without objects", classified("[1, 2]\n", "moves.jsonl"), 6, ("line 1 holds no object; write one a line",)
    ),
    Item("NaN in JSON", classified(objects("[[1, NaN]]"), "moves.jsonl"), 6, ("line 3: NaN is not a finite number",)),
    Item("steps of different widths", classified(objects("[[1, 2], [3]]"), "moves.jsonl"), 6, ("line 3, step 2: 1",)),
    Item("text among numbers in JSON", classified(objects('[[1, "2"]]'), "moves.jsonl"), 6, ('step 1: "2" is not a',)),
    Item(
        "null among numbers in JSON", classified(objects("[[1, null]]"), "moves.jsonl"), 6, ("step 1: null is not a",)
    ),
    Item(
        "an object for a label",
        classified('{"text": "so so", "label": {"is": "bad"}}\n', "reviews.jsonl"),
        6,
        ('line 1: the label {"is": "bad"} is no text or whole number; give one of these, under a key of its own',),
    ),
    Item(
        "a text within an object",
        classified('{"data": {"text": "so so"}, "label": "bad"}\n', "reviews.jsonl"),
        6,
        ("no key that holds a text or a sequence ('data' holds an object, which is not looked into)",),
    ),
    Item("sequences of different widths", classified(objects("[[1]]"), "moves.jsonl"), 6, ("line 3: 1 feature(s) a",)),
    Item("a sequence without a step", classified(objects("[]"), "moves.jsonl"), 6, ("line 3: the sequence is empty",)),
    Item(
        "a text among sequences", classified(objects('"so so"'), "moves.jsonl"), 6, ("line 3: 'sequence' holds a text",)
    ),
    Item(
        "a folder without sub-folders", folder({"1.txt": "so so"}), 6, ("data has no sub-folders; make one sub-folder",)
    ),
    Item("a label without a file", empty_label, 6, ("data/rare has no .txt or .csv file",)),
    Item(
        "texts beside tables",
        folder({**UP, "down/1.txt": "so so"}),
        6,
        ("data has both texts and tables (1.txt, 0.csv",),
    ),
    Item(
        "a table of other columns",
        folder({**UP, "down/1.csv": "x,z\n1,2\n"}),
        6,
        ("data/up/0.csv has the column(s) x, y",),
    ),
    Item("a token without a label", tagged(WORDS + "eve\n"), 6, ("names.conll, line 6: 1 cell(s), 2 in line 1",)),
    Item("nothing but blank lines", tagged("\n \n\n"), 6, ("names.conll has no tokens; give a token and its label",)),
    Item(
        "text among the numbers of steps",
        tagged(put_in("broken,walk", 9, STEPS), "watch.csv"),
        6,
        ("watch.csv, line 9, column 'ax': 'broken' is not a finite number; correct it",),
    ),
)
