"""Write the help text of every command to docs/assets/help/, and the table of settings to docs/assets/settings.md.

The command-line page includes both. Run it after changing a command or a setting: python tools/help.py
"""

from pathlib import Path

from click.testing import CliRunner

from rnnkit.cli import main
from rnnkit.runs.setting_fields import FIELDS, TYPES, bounds_of, default_of, rule_of, shown_default

FOLDER = Path(__file__).parents[1] / "docs" / "assets" / "help"
SETTINGS = FOLDER.parent / "settings.md"
WIDTH = 84


def help_texts() -> dict[str, str]:
    """Return what `--help` prints, for `rnnkit` itself and each of its commands, on a terminal of fixed width."""
    lines = {"rnnkit": ["--help"], **{name: [name, "--help"] for name in main.commands}}
    return {name: CliRunner().invoke(main, words, terminal_width=WIDTH).output for name, words in lines.items()}


def settings_table() -> str:
    """Return a row for each setting that is no table: its name, values, default and what it does."""
    rows = ["| setting | values | default | |", "| --- | --- | --- | --- |"]
    for name in FIELDS:
        if help := rule_of(name).help:
            values = ", ".join(filter(None, [TYPES[type(default_of(name))], bounds_of(name)]))
            rows.append(f"| `{name}` | {values} | {shown_default(name)} | {help} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    for name, text in help_texts().items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
    SETTINGS.write_text(settings_table(), encoding="utf-8")
