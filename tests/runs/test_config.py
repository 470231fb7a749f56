"""Settings from several sources: which wins, what is refused, and that what is printed can be given back."""

import tomllib

import pytest

import rnnkit
from rnnkit.cli import main
from rnnkit.errors import UsageError
from rnnkit.runs.config import assigned, check_unchanged, resolved
from rnnkit.runs.settings import Settings

# For each kind of value: the setting, its option, and four values from the weakest source to the strongest.
KINDS = {
    "whole number": ("hidden", "--hidden", [11, 12, 13, 14]),
    "number": ("lr", "--lr", [0.1, 0.2, 0.3, 0.4]),
    "number, whole in the source": ("clip", "--clip", [1, 2, 3, 4]),
    "nothing": ("weight_decay", "--weight-decay", [0.1, 0.2, 0.3, 0]),
    "text": ("cell", "--cell", ["gru", "rnn", "peephole", "layernorm"]),
    "choice": ("schedule", "--schedule", ["cosine", "plateau", "constant", "cosine"]),
    "pair": ("tbptt", "--tbptt", [[1, 2], [3, 4], [5, 6], [7, 8]]),
    "count": ("keep", "--keep", [3, 4, 5, 6]),
    "seed": ("seed", "--seed", [1, 2, 3, 2**63 - 1]),
}


def text(value):
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@pytest.fixture
def printed(cli, tmp_path, monkeypatch):
    """Return the settings that a command line prints, from up to four sources."""

    def give(config="", words=(), **environment):
        path = tmp_path / "config.toml"
        path.write_text(config)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        result = cli("run", *(("--config", path) if config else ()), *words, "--print-config")
        for name in environment:
            monkeypatch.delenv(name)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == ""
        return tomllib.loads(result.stdout)

    return give


@pytest.mark.parametrize("kind", KINDS)
def test_each_source_wins_over_those_before(printed, kind):
    name, option, (first, second, third, fourth) = KINDS[kind]
    file = Settings(**{name: first}).to_toml()
    line = next(line for line in file.splitlines() if line.startswith(f"{name} ="))
    variable = {f"RNNKIT_RUN_{option[2:].upper().replace('-', '_')}": text(third)}
    assign, words = ("--set", f"{name}={text(second)}"), (option, text(fourth))
    assert printed()[name] == vars(Settings(**rnnkit.tasks["chars"].defaults))[name]
    assert printed(line)[name] == first
    assert printed(line, assign)[name] == second
    assert printed("", assign)[name] == second
    assert printed(line, assign, **variable)[name] == third
    assert printed(line, **variable)[name] == third
    assert printed(line, (*assign, *words), **variable)[name] == fourth
    assert printed(line, words)[name] == fourth
    assert type(printed(line, words)[name]) is type(vars(Settings())[name])


def test_the_defaults_of_the_task_are_the_weakest(printed):
    defaults = dict(rnnkit.tasks["chars"].defaults)
    assert defaults["lr"] != rnnkit.tasks["adding"].defaults["lr"] != Settings.lr
    assert printed()["lr"] == defaults["lr"]
    assert printed("", ("--task", "adding"))["lr"] == rnnkit.tasks["adding"].defaults["lr"]
    assert printed('task = "adding"')["lr"] == rnnkit.tasks["adding"].defaults["lr"]
    assert printed("", RNNKIT_RUN_TASK="adding")["lr"] == rnnkit.tasks["adding"].defaults["lr"]
    assert printed("lr = 0.5")["lr"] == 0.5


def test_tables_are_merged_key_by_key(printed):
    config = "[task_options]\nseq_len = 10\na = 1\nb = 1\nc = 1\n\n[cell_options]\nbias = false\n"
    words = ("--set", "task.b=2", "--set", "task.c=2", "--set", "task.seq_len=20", "--seq-len", 40)
    found = printed(config, words, RNNKIT_RUN_SEQ_LEN="30")
    assert found["task_options"] == {"seq_len": 40, "a": 1, "b": 2, "c": 2}
    assert found["cell_options"] == {"bias": False}
    assert printed(config, words[:6], RNNKIT_RUN_SEQ_LEN="30")["task_options"]["seq_len"] == 30
    assert printed(config, words[:6])["task_options"]["seq_len"] == 20


def test_a_text_is_named_so_that_it_is_found_from_elsewhere(printed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert printed("", ("--text", "novel.txt"))["task_options"] == {"text": str(tmp_path / "novel.txt")}
    assert printed("", RNNKIT_RUN_TEXT="novel.txt")["task_options"] == {"text": str(tmp_path / "novel.txt")}
    assert printed("", ("--set", "task.text=novel.txt"))["task_options"] == {"text": str(tmp_path / "novel.txt")}
    config = 'task = "csv"\n[task_options]\nfile = "table.csv"\nwindow = 7\n'
    assert printed(config)["task_options"] == {"file": str(tmp_path / "table.csv"), "window": 7}


def test_a_resumed_run_may_name_its_text_from_where_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(task_options={"text": str(tmp_path / "novel.txt")})
    check_unchanged(settings, ("the command line", {"task_options": {"text": "novel.txt"}}))
    assert settings.task_options == {"text": str(tmp_path / "novel.txt")}
    check_unchanged(settings, ("the command line", {"task_options": {"text": "moved.txt"}}))
    assert settings.task_options == {"text": str(tmp_path / "moved.txt")}  # the data are compared as it goes on
    with pytest.raises(UsageError, match="task_options is"):
        check_unchanged(settings, ("the command line", {"task_options": {"seq_len": 3}}))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--task", "adding", "--cell", "zoneout(gru, rate=0.1)", "--seq-len", 12),
        ("--tbptt", "2,4", "--clip", 0, "--dtype", "bfloat16", "--lr", "1e-30"),
        ("--set", "task.a='q\"\\n'", "--set", "cell.x=[1, 2.5, 'a']", "--set", "task.a b.c={'d': True}"),
        ("--set", "optimizer.betas=[0.5, 0.9]", "--average", 0.9, "--patience", 3, "--validate-every", 2),
        ("--device", 'a"b', "--optimizer", "é\t"),
    ],
    ids=str,
)
def test_what_is_printed_can_be_given_back(cli, tmp_path, words):
    first = cli("run", *words, "--print-config").stdout
    (tmp_path / "given.toml").write_text(first, encoding="utf-8")
    assert cli("run", "--config", tmp_path / "given.toml", "--print-config").stdout == first


def test_to_print_trains_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("run", "--print-config").exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def refused(cli, tmp_path, monkeypatch):
    """Return the line by which a command line is refused."""

    def give(*words, config=None, **environment):
        if config is not None:
            (tmp_path / "config.toml").write_text(config)
            words = ("--config", tmp_path / "config.toml", *words)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        result = cli("run", *words, "--print-config")
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        return result.stderr

    return give


def test_an_unknown_setting_is_refused_with_the_nearest_name(refused, tmp_path):
    sentence = "has an unknown setting 'hiden' (did you mean 'hidden'?)"
    assert f"{tmp_path / 'config.toml'} {sentence}" in refused(config="hiden = 3")
    assert f"--set {sentence}" in refused("--set", "hiden=3")
    assert "'--hiden'. (Did you mean one of: '--help', '--hidden'?)" in refused("--hiden", 3)
    assert "unknown table 'cel' (did you mean 'cell'?)" in refused("--set", "cel.bias=1")
    assert "has an unknown setting 'cell_option' (did you mean 'cell_options'?)" in refused(config="[cell_option]")


def test_a_value_of_another_type_is_refused_with_its_source(refused, tmp_path):
    source = f"{tmp_path / 'config.toml'}: "
    assert f"{source}hidden is 'many'; it must be a whole number" in refused(config="hidden = 'many'")
    assert f"{source}hidden is 2.5; it must be a whole number" in refused(config="hidden = 2.5")
    assert f"{source}lr is True; it must be a number" in refused(config="lr = true")
    assert f"{source}task_options is 3; it must be a table" in refused(config="task_options = 3")
    assert "--set: hidden is 'many'; it must be a whole number" in refused("--set", "hidden=many")
    assert "--set: cell_options is 3; it must be a table" in refused("--set", "cell_options=3")
    assert "'many' is not a valid integer" in refused(RNNKIT_RUN_HIDDEN="many")


def test_a_value_that_makes_no_sense_is_refused_in_the_environment_too(refused):
    assert "'nan'" in refused(RNNKIT_RUN_LR="nan")


@pytest.mark.parametrize("content", [None, "hidden = ", "\xff"], ids=["none", "no toml", "no utf-8"])
def test_a_file_that_is_none(cli, tmp_path, content):
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    result = cli("run", "--config", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"rnnkit: {path} is {'missing; ' if content is None else 'not '}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hidden=8"], {"hidden": 8}),
        (["lr=1e-2"], {"lr": 0.01}),
        (["cell=zoneout(gru, rate=0.1)"], {"cell": "zoneout(gru, rate=0.1)"}),
        (["tbptt=4,8"], {"tbptt": "4,8"}),
        (["cell.bias=false"], {"cell_options": {"bias": False}}),
        (["task.a=1", "task.b=x=y"], {"task_options": {"a": 1, "b": "x=y"}}),
        (["hidden=8", "hidden=9"], {"hidden": 9}),
        (["cell_options={'a': 1}", "cell.b=2"], {"cell_options": {"a": 1, "b": 2}}),
        (["cell_options=3", "cell.b=2"], {"cell_options": {"b": 2}}),
        (["task.a.b=1"], {"task_options": {"a.b": 1}}),
    ],
    ids=str,
)
def test_assignments(words, expected):
    assert assigned(words) == expected


def test_of_a_resumed_run_only_its_length_and_safety_may_change():
    settings = Settings(steps=10, task_options={"seq_len": 5, "text": "a"}, tbptt=[2, 4])
    same = {"lr": 0.001, "steps": 20, "keep": 5, "save_every": 7, "tbptt": "2,4", "task_options": {"seq_len": 5}}
    check_unchanged(settings, ("the source", same))
    assert (settings.steps, settings.keep, settings.save_every) == (20, 5, 7)
    for name, value in {"lr": 0.2, "cell": "gru", "tbptt": [2, 2], "task_options": {"seq_len": 6}}.items():
        with pytest.raises(UsageError) as caught:
            check_unchanged(settings, ("the source", {name: value}))
        sentence = f"{name} is {vars(settings)[name]!r} in the run, not {value!r}; a resumed run keeps its settings"
        free = "steps, inspect_every, save_every, keep, keep_data"
        assert str(caught.value) == f"the source: {sentence} ({free} may differ)"
    with pytest.raises(UsageError, match="did you mean"):
        check_unchanged(settings, ("the source", {"step": 20}))


def test_the_last_source_is_the_one_that_a_resumed_run_hears():
    settings = Settings()
    check_unchanged(settings, ("a file", {"lr": 0.5}), ("the command line", {"lr": 0.001}))
    with pytest.raises(UsageError, match=r"a file: lr is 0\.001 in the run, not 0\.5"):
        check_unchanged(settings, ("a file", {"lr": 0.5}), ("the command line", {"steps": 5}))


def test_a_task_with_defaults_that_are_none(monkeypatch):
    monkeypatch.setattr(rnnkit.tasks["adding"], "defaults", {"hiden": 3})
    with pytest.raises(UsageError, match=r"the task's defaults has an unknown setting 'hiden'"):
        resolved(("the source", {"task": "adding"}))


def test_every_setting_has_an_option_or_a_table():
    options = {parameter.name for parameter in main.commands["run"].params}
    tables = {name for name in vars(Settings()) if name.endswith("_options")}
    assert set(vars(Settings())) - tables <= options
