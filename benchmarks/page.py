"""Findings as a page of Markdown: what must hold first, then each benchmark with its tables and pictures."""

from collections.abc import Iterator, Sequence

from benchmarks.figures import Findings, Table, Target


def page(findings: Sequence[Findings], machine: str) -> str:
    """`machine` says in a line what all this was measured on."""
    return "\n".join(_lines(findings, machine)) + "\n"


def _lines(findings: Sequence[Findings], machine: str) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield "Written by `python3 tasks.py benchmarks --write`; no figure is typed by hand. Compare the ratios: each is"
    yield f"against a peer that was measured in the same run. {machine}"
    yield ""
    yield "## What must hold"
    yield ""
    yield from table_lines(targets_table([target for each in findings for target in each.targets]))
    for each in findings:
        yield ""
        yield f"## {each.title}"
        yield ""
        yield each.explanation
        for picture in each.pictures:
            yield ""
            yield f"![{picture.title}](pictures/{picture.name}.svg)"
        for table in each.tables:
            yield ""
            yield f"### {table.title}"
            yield ""
            yield from table_lines(table)
            if table.note:
                yield ""
                yield table.note


def targets_table(targets: Sequence[Target]) -> Table:
    rows = [[each.what, each.measured, each.limit, "yes" if each.is_met else "**no**"] for each in targets]
    return Table("What must hold", ["what", "measured", "limit", "holds"], rows)


def table_lines(table: Table) -> Iterator[str]:
    """A table of Markdown whose columns stand below one another in plain text, too."""
    lines = [table.head, *table.rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(table.head))]
    for number, line in enumerate(lines):
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "| " + " | ".join(cells) + " |"
        if number == 0:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
