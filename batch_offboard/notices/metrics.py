"""A notice as metrics, in Prometheus' text format (prometheus.io/docs/instrumenting/exposition_formats).

Pure. The file describes only the last notice; alerts use its age, its event and its counts.
"""

from collections.abc import Mapping

from batch_offboard.notices.notice import Happening, Notice

Labels = Mapping[str, str]
OUTCOMES = ("submitted", "failed", "skipped", "in_doubt", "pending", "cancelled")


def as_metrics(notice: Notice) -> str:
    """The whole file. Every series is always present, so that no alert loses its data."""
    families = [
        _family(
            "last_notice_timestamp_seconds",
            "When a run last ended, was stopped, or was missed.",
            [({}, f"{notice.at:.3f}")],
        ),
        _family(
            "last_event",
            "The event of the last notice: 1 for this one, 0 for the others.",
            [({"event": each}, str(int(each is notice.happening))) for each in Happening],
        ),
        _family("last_exit_code", "The exit code of the last run.", [({}, str(notice.exit_code.value))]),
        _family(
            "last_rows",
            "Rows of the last run by outcome.",
            [({"outcome": each}, str(notice.counts.get(each, 0))) for each in OUTCOMES],
        ),
        _family(
            "last_run_duration_seconds",
            "How long the last run took, 0 if it did not begin.",
            [({}, f"{max(0.0, notice.at - notice.started) if notice.started is not None else 0.0:.3f}")],
        ),
        _family("last_simulated", "1 if the last run was a rehearsal.", [({}, str(int(notice.simulated)))]),
        _family(
            "last_info",
            "The last run's tenant, application and first batch.",
            [({"tenant": notice.tenant, "batch": notice.batches[0] if notice.batches else ""}, "1")],
        ),
    ]
    return "".join(families)


def label_value(text: str) -> str:
    """The value with backslash, quote and line feed escaped, and lone surrogates, since the file is UTF-8."""
    kept = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return kept.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _family(name: str, meaning: str, samples: list[tuple[Labels, str]]) -> str:
    full = f"batch_offboard_{name}"
    lines = [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
    for labels, value in samples:
        inner = ",".join(f'{label}="{label_value(text)}"' for label, text in labels.items())
        lines.append(f"{full}{{{inner}}} {value}" if inner else f"{full} {value}")
    return "\n".join(lines) + "\n"
