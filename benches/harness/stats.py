"""Medians, ratios and tables."""

import statistics


def median(values):
    """The middle value, or nothing of nothing."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def ratio(part, whole):
    return part / whole if part is not None and whole else None


def number(value, digits=2):
    """A figure for a cell; a dash where nothing was measured."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if digits else f"{value:,.0f}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def rotated(items: list, by: int) -> list:
    """Another order for every round, so that nobody always comes first."""
    by %= max(len(items), 1)
    return items[by:] + items[:by]
