"""`rnnkit plugins`: what was found, and what is wrong with it."""

import click

from rnnkit.cli.output import json_option, print_json, print_table


@click.command(short_help="List the plugins, and what is wrong with them.")
@json_option
def plugins(as_json: bool) -> None:
    """List the plugins with what they register, and what is wrong with the broken ones."""
    from rnnkit.plugin.registry import installed, problems_of

    rows = []
    for plugin in installed():
        origin = plugin.origin
        problems = problems_of(plugin)
        if as_json:
            print_json(
                {
                    "plugin": origin.label,
                    "version": origin.version,
                    "module": origin.entry.value,
                    "registers": plugin.names,
                    "ok": not problems,
                    "problems": problems,
                }
            )
        state = "ok" if not problems else "broken: " + "; ".join(problems)
        rows.append((origin.label, origin.version, ", ".join(plugin.names) or "-", state))
    if not as_json:
        print_table(["plugin", "version", "registers", "state"], rows, less=["version", "registers"])
