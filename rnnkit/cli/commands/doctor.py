"""`rnnkit doctor`: versions, devices, compiler, unrollers, plugins, and what is wrong with them."""

import os
import platform
import shutil
from importlib import metadata
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.name_lists import Names
from rnnkit.cli.options import device_option
from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.streams import echo
from rnnkit.errors import PluginError, UsageError, one_line

if TYPE_CHECKING:
    from rnnkit.support.extras import Extra

MIB = 2**20
SHORT = 3
"""As many packages are named in a table."""


@click.command(short_help="Show versions, devices and plugins, and what is wrong.")
@click.option(
    "--clear-cache",
    is_flag=True,
    allow_from_autoenv=False,
    help="Remove what unrollers keep on disk instead, and say how much that was.",
)
@click.option(
    "--compile",
    "cells",
    type=Names("cells", "lstm,gru"),
    allow_from_autoenv=False,
    help="Have what these cells' first use would wait for made now, and kept: kernels, where the package is installed.",
)
@device_option("Of --compile: for which device. [default: cpu]")
@json_option
def doctor(clear_cache: bool, cells: tuple[str, ...] | None, device: str | None, as_json: bool) -> None:
    """Show versions, devices, unrollers and plugins, and what is wrong with them (exit 4 if a plugin is broken).

    A second table has the extras: what each gives, and which packages are installed or how to install what is missing.
    """
    if clear_cache and cells:
        raise UsageError("--clear-cache and --compile exclude each other; call rnnkit doctor twice")
    if device is not None and not cells:
        raise UsageError("--device goes with --compile; without it all devices are shown")
    if cells:
        _use_first(cells, device or "cpu", as_json)
        return
    problems = _clear(as_json) if clear_cache else _examine(as_json)
    if problems:
        raise PluginError(f"{problems[0]}{f' (and {len(problems) - 1} more)' if len(problems) > 1 else ''}")


def _use_first(cells: tuple[str, ...], device: str, as_json: bool) -> None:
    """Use each cell once on a device, and print what ran it."""
    from rnnkit.layers.first_use import use_first
    from rnnkit.runs.settings import usable_device

    where = usable_device(device)
    told = {cell: use_first(cell, device=where) for cell in cells}
    if as_json:
        print_json({"used": told})
    else:
        print_table(["cell", "run by"], [*told.items()])


def _examine(as_json: bool) -> list[str]:
    """Print all facts; returns the problems."""
    from rnnkit.plugin.registry import complaints, installed
    from rnnkit.support.extras import extras

    told, failures = _ask_unrollers("facts")
    problems = [*complaints(), *failures]
    facts = {**_versions(), **_machine()}
    facts["plugins"] = f"{len(installed())} found, {len(problems)} problem{'s' * (len(problems) != 1)}"
    if as_json:
        plain = {
            extra.name: {"installed": not extra.missing, **extra._asdict(), "install": extra.install}
            for extra in extras()
        }
        print_json({**facts, "unrollers": told, "extras": plain, "problems": problems})
        return problems
    rows = [(f"{name}: {what}", value) for name, own in told.items() for what, value in own.items()]
    print_table(["what", "is"], [*facts.items(), *rows])
    echo("")
    print_table(["extra", "gives", "installed"], [(extra.name, extra.gives, _installed(extra)) for extra in extras()])
    for problem in problems:
        echo_wrapped(f"  {problem}")
    return problems


def _installed(extra: "Extra") -> str:
    """Say which versions of an extra's packages are there, or how to install what is missing; --json lists all."""
    if extra.missing:
        missing = ", ".join(extra.missing) if len(extra.missing) <= SHORT else f"{len(extra.missing)} packages"
        return f"no, {missing} missing: {extra.install}" if len(extra.packages) > 1 else f"no: {extra.install}"
    if len(extra.packages) > SHORT:
        return f"yes, all {len(extra.packages)} packages"
    return "yes, " + ", ".join(f"{name} {version}" for name, version in extra.packages.items())


def _clear(as_json: bool) -> list[str]:
    """Clear every cache and print how large it was; returns the problems."""
    removed, failures = _ask_unrollers("clear_cache")
    if as_json:
        print_json({"cleared": removed, "problems": failures})
        return failures
    for name, amount in removed.items():
        if amount:
            echo(f"{name}: {amount / MIB:.1f} MiB removed")
    if not any(removed.values()):
        echo("nothing to remove")
    return failures


def _ask_unrollers(question: str) -> tuple[dict[str, Any], list[str]]:
    """Return what each unroller answers, and a sentence for each that fails to: they are somebody else's code."""
    from rnnkit.plugin.registry import unrollers

    answers, failures = {}, []
    for name, kind in unrollers.items():
        try:
            answers[name] = getattr(kind, question)()
        except Exception as error:
            failures.append(f"unroller {name!r}: {question}() failed: {one_line(error)}")
    return answers, failures


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
