"""Notices, usual ones and hostile ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.notices.notice import Happening, Notice


def make_notice(**changes: Any) -> Notice:
    values: dict[str, Any] = {
        "happening": Happening.FINISHED,
        "headline": "Batch 20261124-0815-kqzt: 39 submitted, 1 failed.",
        "exit_code": ExitCode.ROWS_FAILED,
        "at": 1_795_500_000.0,
        "machine": "ops-1",
        "started": 1_795_499_000.0,
        "tenant": "contoso/app",
        "batches": ("20261124-0815-kqzt",),
        "counts": {"submitted": 39, "failed": 1, "skipped": 0, "in_doubt": 0, "pending": 0, "cancelled": 0},
        "reports": (Path("reports") / "a_b*c.csv", Path("reports") / "a.xlsx"),
        "next_command": "batch-offboard retry 20261124-0815-kqzt",
    }
    return Notice(**(values | changes))


@pytest.fixture
def notice() -> Callable[..., Notice]:
    return make_notice
