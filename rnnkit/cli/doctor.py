"""`rnnkit doctor`: versions, devices, compiler, plugins, and what is wrong with them."""

import os
import platform
import shutil
from importlib import metadata

import click

from rnnkit.cli.output import json_option, print_json, print_table
from rnnkit.errors import PluginError


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Show versions, devices, compiler and plugins, and what is wrong with them (exit 4 if a plugin is broken)."""
    from rnnkit.registry import complaints, installed

    facts = {**_versions(), **_machine()}
    problems = complaints()
    facts["plugins"] = f"{len(installed())} found, {len(problems)} problem{'s' * (len(problems) != 1)}"
    if as_json:
        print_json({**facts, "problems": problems})
    else:
        print_table(["what", "is"], facts.items())
        for problem in problems:
            click.echo(f"  {problem}")
    if problems:
        raise PluginError(f"{problems[0]}{f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''}")


def _versions() -> dict[str, str]:
    packages = ("rnnkit", "torch", "numpy", "pluggy", "click", "safetensors", "rich")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def _machine() -> dict[str, str]:
    import torch

    devices = [f"cpu ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads)"]
    devices += [f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    compiler = os.environ.get("CXX") or next((c for c in ("c++", "g++", "clang++") if shutil.which(c)), None)
    allowed = os.environ.get("RNNKIT_PLUGINS")
    return {
        "platform": platform.platform(),
        "devices": ", ".join(devices),
        "C++ compiler": (shutil.which(compiler) or f"{compiler}, not found") if compiler else "none",
        "RNNKIT_PLUGINS": "not set" if allowed is None else allowed or "empty: first-party plugins only",
    }
