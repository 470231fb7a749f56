"""Paragraphs of a docstring: lines that belong together, joined, so that a terminal of any width may fold them."""

ITEM = "- "


def joined(text: str) -> str:
    """Return a text with a line for each paragraph and item of a list; what is indented, such as equations, stays."""
    lines: list[str] = []
    goes_on = False  # whether the next line may belong to the last one
    for line in text.splitlines():
        inside_item = goes_on and lines[-1].startswith(ITEM) and line.startswith(" " * len(ITEM))
        flush = line[:1].strip() != "" and not line.startswith(ITEM)
        if goes_on and (inside_item or (flush and not lines[-1].startswith(ITEM))):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
            goes_on = flush or line.startswith(ITEM)
    return "\n".join(lines)
