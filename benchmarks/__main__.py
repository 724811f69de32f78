"""`python -m benchmarks`: measures, prints, and with `--write` writes the page and its pictures."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import overhead, reading, scale, schedule, start, tenant
from benchmarks.figures import Benchmark, Findings
from benchmarks.page import page, table_lines, targets_table
from benchmarks.pictures import draw

DOCS = Path(__file__).resolve().parent.parent / "docs"
BENCHMARKS: dict[str, Benchmark] = {
    "schedule": schedule.run,
    "overhead": overhead.run,
    "reading": reading.run,
    "scale": scale.run,
    "tenant": tenant.run,
    "start": start.run,
}


def main(arguments: Sequence[str]) -> int:
    """1 if a target is missed; being quick has no targets but to work."""
    parser = argparse.ArgumentParser(prog="python3 tasks.py benchmarks", description="Measure, and print tables.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that everything works")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its pictures")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    if given.write and (given.names or given.quick):
        parser.error("the page is written from all figures of one whole run")
    findings = _all_measured(given.names or list(BENCHMARKS), quick=given.quick)
    targets = [target for each in findings for target in each.targets]
    if targets:
        print("\n" + "\n".join(table_lines(targets_table(targets))))
    if given.write:
        _write(findings)
    return 0 if all(target.is_met for target in targets) else 1


def _all_measured(names: Sequence[str], *, quick: bool) -> list[Findings]:
    """One after the other, that none disturbs another; where nothing is compared, two at a time."""
    with ThreadPoolExecutor(2 if quick else 1) as threads:
        return list(threads.map(lambda name: _measured(name, quick=quick), names))


def _measured(name: str, *, quick: bool) -> Findings:
    findings = BENCHMARKS[name](quick)
    texts = (f"\n{findings.title}: {each.title}\n" + "\n".join(table_lines(each)) for each in findings.tables)
    print("\n".join(texts), flush=True)
    return findings


def _write(findings: Sequence[Findings]) -> None:
    for each in findings:
        for picture in each.pictures:
            draw(picture, DOCS / "pictures")
    (DOCS / "performance.md").write_text(page(findings, _machine()), encoding="utf-8", newline="\n")


def _machine() -> str:
    cores = os.cpu_count()
    return f"This run: {cores} cores, {platform.system()}, Python {platform.python_version()}."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
