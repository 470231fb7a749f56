"""Of the corpus: 16 files and batches. What is odd but fit, is taken."""

from .scene import Item, Scene

ROWS = "up,week\n" + "".join(f"{row},{row % 7}\n" for row in range(100))
FORECAST = ("run", "--task", "csv", "--set", "task.file=table.csv", "--set", "task.window=8", "--hidden", 2)
FORECAST = (*FORECAST, "--steps", 1, "--batch", 2, "--quiet", "--out", "run")
TASK = '''
class Odd(rnnkit.Task):
    """Rows of different lengths, each of one of four classes."""

    name = "odd"
    metric_name = "loss"
    every_step = False
    input_size, output_size = 2, 4

    def batch(self, size, generator):
        xs = torch.randn({steps}, size, {width}, generator=generator)
        return rnnkit.Batch(xs, torch.full((size,), {label}), torch.tensor({lengths} * (size // 2)))

    def loss(self, outputs, targets):
        return torch.nn.functional.cross_entropy(outputs, targets)

    metric = loss

@rnnkit.hookimpl
def rnnkit_tasks():
    return [Odd]
'''


def table(content: str | bytes):
    """Forecast a table."""

    def make(scene: Scene):
        scene.text(content, "table.csv")
        return FORECAST

    return make


def put_in(line: str, at: int = 50) -> str:
    """Return the table with a line more."""
    lines = ROWS.splitlines(keepends=True)
    return "".join([*lines[: at - 1], line + "\n", *lines[at - 1 :]])


def batches(steps=5, width=2, label=1, lengths=(5, 3)):
    """Train on batches of a third party's task."""

    def make(scene):
        scene.plugin(TASK.format(steps=steps, width=width, label=label, lengths=list(lengths)))
        return ("run", "--task", "odd", "--steps", 1, "--batch", 2, "--hidden", 2, "--quiet", "--out", "run")

    return make


def emptied(scene):
    scene.text(ROWS * 20, "table.csv")
    scene.leaves = True
    scene.before("emptied_while_read", file="table.csv")
    return FORECAST


NO_NUMBER = ("table.csv, line 50, column 'week'", "is not a finite number; correct it, or leave the column out")
TASK_S = "task 'odd': a batch "

DATA = (
    Item("an empty file", table(""), 6, ("table.csv is empty; give a UTF-8 text file",)),
    Item("one row", table("1,2\n"), 6, ("table.csv has too few rows, 1: ",)),
    Item("NaN in a row", table(put_in("1,nan")), 6, ("'nan'", *NO_NUMBER)),
    Item("infinity in a row", table(put_in("1,-inf")), 6, ("'-inf'", *NO_NUMBER)),
    Item("text among numbers", table(put_in("1,broken")), 6, ("'broken'", *NO_NUMBER)),
    Item("a ragged table", table(put_in("1,2,3")), 6, ("table.csv, line 50: 3 cell(s)", "give all rows as many")),
    Item("another number of features", batches(width=3), 6, (TASK_S, "3 features", "input_size, which is 2")),
    Item("sequences of no steps", batches(steps=0), 6, (TASK_S, "(0, 2, 2)", "at least one step")),
    Item("a length beyond the end", batches(lengths=(9, 3)), 6, (TASK_S, "lengths runs from 3 to 9", "steps, 5")),
    Item("a negative length", batches(lengths=(5, -3)), 6, (TASK_S, "lengths runs from -3 to 5", "steps, 5")),
    Item("lengths in no order", batches(lengths=(3, 5)), 0, ()),
    Item("a class out of range", batches(label=7), 6, (TASK_S, "Target 7 is out of bounds", "output_size, which is 4")),
    Item("a byte-order mark and CRLF", table("\ufeff" + ROWS.replace("\n", "\r\n")), 0, ("inputs: up, week",)),
    Item("a binary file", table(bytes(range(1, 128)) + bytes(1000)), 6, ("table.csv is a binary file",)),
    Item(
        "a file that is emptied while it is read", emptied, 6, ("table.csv was cut off while it was read; try again",)
    ),
    Item("another type in a column", table(put_in("1,True")), 6, ("'True'", *NO_NUMBER)),
)
