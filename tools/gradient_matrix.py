"""The page of the gradient matrix: what a full run has found, and what it finds of planted wrong terms.

    python tools/gradient_matrix.py              write the page's tables from the certificate that is kept
    python tools/gradient_matrix.py take DIR     first take the certificate of `rnnkit gradcheck --matrix --out DIR`
    python tools/gradient_matrix.py plants       first plant the wrong terms of tests/matrix/plants.py, one by one

Both are kept in docs/assets/, as gradient-certificate.json and gradient-plants.json. The catalogue's pages have a row
of the first: python tools/catalogue.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "docs" / "assets"
CERTIFICATE, PLANTS = ASSETS / "gradient-certificate.json", ASSETS / "gradient-plants.json"
TABLES = {name: ASSETS / f"gradient-{name}.md" for name in ("counts", "exceptions", "errors", "planted")}
LABELS = {
    "first": "first order",
    "second": "second order",
    "vmap": "`torch.func.vmap` of gradients",
    "jvp": "forward mode",
    "float32": "float32 against float64",
}


def main() -> None:
    """Take or measure if asked to, and write all tables."""
    match sys.argv[1:]:
        case ["take", folder]:
            CERTIFICATE.write_text((Path(folder) / "certificate.json").read_text(encoding="utf-8"), encoding="utf-8")
        case ["plants"]:
            PLANTS.write_text(json.dumps(list(planted()), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, text in tables().items():
        TABLES[name].write_text(text, encoding="utf-8")


def certificate() -> dict:
    """Return the certificate that is kept."""
    return json.loads(CERTIFICATE.read_text(encoding="utf-8"))


def tables() -> dict[str, str]:
    """Return the text of every table, by its name."""
    content = certificate()
    plants = json.loads(PLANTS.read_text(encoding="utf-8"))
    return {
        "counts": counts(content),
        "exceptions": exceptions(content),
        "errors": errors(content),
        "planted": of_plants(plants),
    }


def counts(content: dict) -> str:
    """Return what was run on what, and the outcomes of each check."""
    effort, versions = content["effort"], content["versions"]
    cells = {row["cell"] for row in content["worst"]}
    unrollers = list(dict.fromkeys(row["unroller"] for row in content["worst"]))
    total = sum(found[name] for found in content["counts"].values() for name in ("passed", "declared", "failed"))
    lines = [
        f"{total:,} cases of {len(cells)} cells and {len(unrollers)} unrollers ({', '.join(unrollers)}) on "
        f"{content['date']}: {effort['examined']:,} examined in {effort['seconds'] / 60:.0f} minutes by "
        f"{effort['jobs']} processes, on {versions['instruction set']}, with torch {versions['torch']}, Python "
        f"{versions['python']}, rnnkit {versions['rnnkit']} and the compiler {versions['compiler']}.",
        "",
        "| check | passed | of these, the loop ran | exceptions declared | failed | worst error |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for check, found in content["counts"].items():
        tops = [row for row in content["worst"] if row["check"] == check and row.get("error") is not None]
        top = max(tops, key=lambda row: row["error"])
        unit = " units in the last place" if check == "float32" else ""
        figures = [f"{found[name]:,}" for name in ("passed", "by the loop", "declared", "failed")]
        worst = f"{top['error']:.1e}" if not unit else f"{top['error']:.0f}{unit}"
        lines.append(f"| {LABELS[check]} | {' | '.join(figures)} | {worst}, `{top['case']}` |")
    return "\n".join(lines) + "\n"


def exceptions(content: dict) -> str:
    """Return the declared exceptions, each with its reason."""
    lines = ["| cases | reason | cells | unrollers | checks |", "| ---: | --- | --- | --- | --- |"]
    everything = {noun: {row[noun] for row in content["worst"]} for noun in ("cell", "unroller", "check")}
    for entry in content["exceptions"]:
        named = []
        for noun, known in everything.items():
            given = entry[f"{noun}s"]
            named.append("all" if set(given) == known else ", ".join(f"`{name}`" for name in given))
        lines.append(f"| {entry['count']} | {entry['reason']} | {' | '.join(named)} |")
    return "\n".join(lines) + "\n"


def errors(content: dict) -> str:
    """Return the worst errors of both orders, for each cell and unroller."""
    found = {(row["cell"], row["unroller"], row["check"]): row for row in content["worst"]}
    cells, unrollers = (list(dict.fromkeys(row[noun] for row in content["worst"])) for noun in ("cell", "unroller"))
    lines = [f"| cell | {' | '.join(unrollers)} |", f"|{' --- |' * (1 + len(unrollers))}"]
    for cell in cells:
        rows = [[found.get((cell, unroller, check)) for check in ("first", "second")] for unroller in unrollers]
        lines.append(f"| `{cell}` | {' | '.join(map(pair, rows))} |")
    return "\n".join(lines) + "\n"


def pair(rows: list[dict | None]) -> str:
    """Return the errors of both orders; in italics if the loop ran in all cases."""
    if not all(rows):
        return ""
    if not any(row.get("passed") for row in rows):
        return "declared"
    text = " · ".join(f"{row['error']:.1e}" for row in rows)
    return f"*{text}*" if all(row["by the loop"] == row["passed"] for row in rows) else text


def of_cell(content: dict, cell: str) -> dict[str, object]:
    """Return how far the gradients of one cell are from differences, and in how many cases; in words too."""
    rows = {
        check: [row for row in content["worst"] if (row["cell"], row["check"]) == (cell, check) and "error" in row]
        for check in ("first", "second")
    }
    first, second = (max((row["error"] for row in found), default=None) for found in rows.values())
    cases = {check: sum(row.get("passed", 0) for row in found) for check, found in rows.items()}
    said = (
        f"agree with central differences to {first:.1e}, those of gradients to {second:.1e}, in float64, at worst in "
        f"{cases['first']} + {cases['second']} cases of the gradient matrix"
        if first is not None and second is not None
        else "not in the certificate of the gradient matrix"
    )
    return {"first": first, "second": second, "cases": cases, "said": said}


def planted():
    """Yield, for each planted wrong term, which cases turn red."""
    import pytest
    import torch

    sys.path.insert(0, str(ROOT))
    from rnnkit.matrix.case import product_of
    from rnnkit.matrix.examination import examined
    from tests.matrix.plants import PLANTS as TERMS

    torch.set_num_threads(1)
    for plant in TERMS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            plant.patch(monkeypatch)
            found = list(examined(list(product_of([plant.kind or plant.cell], [plant.unroller]))))
        tried = [(case, verdict) for case, verdict in found if verdict.outcome != "declared"]
        red = [(case, verdict) for case, verdict in tried if verdict.outcome == "failed"]
        by = sorted({verdict.component for _, verdict in red if verdict.component})
        yield {
            "cell": plant.cell,
            "what": plant.what,
            "where": plant.where,
            "tried": len(tried),
            "red": len(red),
            "first": "/".join(red[0][0][2:]) if red else "",
            "component": red[0][1].component if red else "",
            "components": len(by),
        }
        print(plant.cell, len(red), flush=True)


def of_plants(plants: list[dict]) -> str:
    """Return what became of each planted wrong term."""
    red = sum(bool(plant["red"]) for plant in plants)
    lines = [
        f"{red} of {len(plants)} turn the matrix red.",
        "",
        "| cell | wrong | planted in | cases that turn red | the first, and what is worst there |",
        "| --- | --- | --- | ---: | --- |",
    ]
    for plant in plants:
        first = f"`{plant['first']}`: {plant['component']}" if plant["red"] else "none"
        figures = f"{plant['red']} of {plant['tried']}"
        lines.append(f"| `{plant['cell']}` | {plant['what']} | {plant['where']} | {figures} | {first} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
