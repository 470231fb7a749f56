"""Write the help text of every command to docs/assets/help/, from where the command-line page includes it.

Run it after changing a command: python tools/help.py
"""

from pathlib import Path

from click.testing import CliRunner

from rnnkit.cli import main

FOLDER = Path(__file__).parents[1] / "docs" / "assets" / "help"
WIDTH = 84


def help_texts() -> dict[str, str]:
    """Give what `--help` prints, for `rnnkit` itself and each of its commands, on a terminal of fixed width."""
    lines = {"rnnkit": ["--help"], **{name: [name, "--help"] for name in main.commands}}
    return {name: CliRunner().invoke(main, words, terminal_width=WIDTH).output for name, words in lines.items()}


if __name__ == "__main__":
    for name, text in help_texts().items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")
