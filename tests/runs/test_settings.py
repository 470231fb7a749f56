"""Settings come back from their file whatever they hold, or are refused with a sentence."""

import inspect
import math
import os
import tomllib

import pytest

import rnnkit
from rnnkit.cli.commands.run import run
from rnnkit.errors import CheckpointError, ResourceError, UsageError
from rnnkit.runs.setting_fields import FIELDS, SHORTCUTS, TABLES, checked, default_of, rule_of
from rnnkit.runs.settings import WEIGHT_DTYPES, Settings, usable_device
from rnnkit.support.toml import read_toml
from rnnkit.training.optimizers import OPTIMIZERS
from rnnkit.training.window_stream import ROWS

ODD = [
    "",
    " ",
    'a "quoted" word',
    "back\\slash",
    "tab\tnewline\nreturn\r",
    "\x00\x1f\x7f",
    "é ∂ 漢 🙂",
    "\u2028\ufeff",
    "# no = [comment]",
]


def written(settings, path):
    path.write_text(settings.to_toml(), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_settings_come_back_whatever_the_strings(text, tmp_path):
    settings = Settings(
        task_options={"text": text, "list": [text, 1, 2.5, True], "table": {text: text}},
        optimizer_options={"eps": math.inf, "betas": [0.5, 0.9]},
        tbptt=[3, 9],
        lr=1e-30,
        clip=1e16,
        seed=2**63 - 1,
    )
    assert Settings.read(written(settings, tmp_path / "config.toml")) == settings


@pytest.mark.parametrize("name", ["a.b", "a b", "", "é", 'a"b', "1", "a-b_C"])
def test_names_of_options_come_back_whatever_they_are(name, tmp_path):
    settings = Settings(task_options={name: 1})
    assert Settings.read(written(settings, tmp_path / "config.toml")) == settings


@pytest.mark.parametrize("text", ["steps = ", "stepz = 3", "\udcff", "steps = 'many'", "[cell_options"], ids=ascii)
def test_what_is_no_configuration_is_refused(text, tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"config\.toml"):
        Settings.read(path)


@pytest.mark.parametrize(
    ("made", "fault"), [("nothing", "is missing"), ("a folder", "is a folder"), ("a pipe", "is not a file")]
)
def test_a_configuration_that_is_no_file(tmp_path, made, fault):
    path = tmp_path / "config.toml"
    if made == "a folder":
        path.mkdir()
    elif made == "a pipe":
        os.mkfifo(path)
    with pytest.raises(UsageError) as caught:
        read_toml(path)
    assert str(caught.value) == f"{path} {fault}; name a TOML file of settings"


def test_a_folder_without_a_configuration_is_told_as_such(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        Settings.of_run(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'config.toml'} is missing; give the folder of a run, such as ")


def test_a_whole_number_will_do_for_a_real_one(tmp_path):
    (tmp_path / "config.toml").write_text(Settings().to_toml().replace("lr = 0.001", "lr = 1"))
    settings = Settings.read(tmp_path / "config.toml")
    assert settings.lr == 1.0
    assert isinstance(settings.lr, float)


def test_what_is_written_is_toml_with_every_setting():
    found = tomllib.loads(Settings().to_toml())
    assert found == vars(Settings())


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("hidden", "many", "a whole number"),
        ("hidden", 8.0, "a whole number"),
        ("hidden", True, "a whole number"),
        ("lr", "fast", "a number"),
        ("lr", True, "a number"),
        ("cell", 3, "text"),
        ("tbptt", 3, "two whole numbers"),
        ("tbptt", "x", "two whole numbers"),
        ("tbptt", [1], "two whole numbers"),
        ("tbptt", [1, 2, 3], "two whole numbers"),
        ("tbptt", [1.5, 2], "two whole numbers"),
        ("tbptt", [True, 2], "two whole numbers"),
        ("tbptt", ["1", "2"], "two whole numbers"),
        ("tbptt", "1,2,3", "two whole numbers"),
        ("cell_options", 3, "a table"),
        ("hidden", 0, "1 or more"),
        ("layers", 0, "1 or more"),
        ("steps", 0, "1 or more"),
        ("batch", 0, "1 or more"),
        ("accumulate", 0, "1 or more"),
        ("keep", 0, "1 or more"),
        ("hidden", -1, "1 or more"),
        ("warmup", -1, "0 or more"),
        ("patience", -1, "0 or more"),
        ("save_every", -1, "0 or more"),
        ("lr", -1.0, "0 or more"),
        ("lr", math.nan, "0 or more"),
        ("lr", math.inf, "0 or more"),
        ("average", 1.0, "below 1"),
        ("average", 2, "below 1"),
        ("seed", 2**63, "2**63 - 1"),
        ("dtype", "float8", "float32, float64, bfloat16, float16"),
        ("clip_by", "size", "one of norm, value"),
        ("schedule", "cosin", "one of constant, cosine, plateau (did you mean 'cosine'?)"),
        ("dropout", 1.5, "at most 1"),
    ],
    ids=str,
)
def test_values_that_make_no_sense(name, value, must):
    with pytest.raises(UsageError) as caught:
        checked({name: value}, "the source")
    assert str(caught.value).startswith(f"the source: {name} is {value!r}; it must be ")
    assert must in str(caught.value)


def test_an_unknown_setting_offers_the_nearest():
    with pytest.raises(UsageError, match=r"the source has an unknown setting 'hiden' \(did you mean 'hidden'\?\)"):
        checked({"hiden": 3}, "the source")


def test_dates_are_no_options():
    with pytest.raises(UsageError, match=r"the source: task_options\.since is .*; it must be"):
        checked({"task_options": tomllib.loads("since = 1990-01-01")}, "the source")


def test_devices():
    assert str(usable_device("cpu")) == "cpu"
    with pytest.raises(UsageError, match="device 'nope' is not a device of torch"):
        usable_device("nope")
    with pytest.raises(ResourceError, match="device 'cuda:99' is not usable here"):
        usable_device("cuda:99")


def test_the_table_is_all_that_says_what_a_setting_is():
    assert list(vars(Settings())) == list(FIELDS)
    assert {name.removesuffix("_options") for name in FIELDS if name.endswith("_options")} == set(TABLES)
    assert set(rule_of("dtype").choices) == set(WEIGHT_DTYPES)
    assert all(name in rule_of("optimizer").help for name in OPTIMIZERS)


def test_every_setting_is_an_option_of_the_command_line_or_a_table():
    options = {parameter.name for parameter in run.params}
    assert [name for name in FIELDS if (name in options) is name.endswith("_options")] == []
    assert set(SHORTCUTS) <= options


def test_training_in_python_has_the_defaults_of_the_settings():
    """Beside those that are none in Python and 0 here, and the rows of a batch, which a task may know."""
    names = {"batch_size": "batch", "truncate": None, "optimizer_options": None, "autocast": None, "processes": None}
    for name, parameter in inspect.signature(rnnkit.Training).parameters.items():
        setting = names.get(name, name)
        if setting in FIELDS and parameter.default is not parameter.empty:
            default = ROWS if name == "batch_size" else parameter.default
            assert (default or 0) == default_of(setting), name


def test_defaults_are_within_their_own_bounds():
    assert checked(vars(Settings()), "the defaults") == vars(Settings())
