"""The journal's tables. Legal states and their consequences are constraints, so that no statement can break them."""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    text,
)

from batch_offboard.core.batches import BatchState
from batch_offboard.core.jobs import FINISHED, JobState, Verdict
from batch_offboard.core.plan import Reason

metadata = MetaData()

# SQLite assigns row numbers only to a column declared INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")


def _flag(name: str) -> Boolean:
    return Boolean(create_constraint=True, name=f"{name}_is_boolean")


def _one_of(column: str, words: type[JobState] | type[Verdict] | type[Reason] | type[BatchState]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


_FINISHED = ", ".join(sorted(repr(state.value) for state in FINISHED))

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

# What is known about devices belongs to a tenant, whichever application made the calls.
tenants = Table(
    "tenants",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
)

# A quota belongs to a tenant and application together; the name is TENANT/APPLICATION.
scopes = Table(
    "scopes",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(300), nullable=False, unique=True),
    Column("tenant", ForeignKey("tenants.id"), nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("scope", ForeignKey("scopes.id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("halted_because", Text, nullable=False, server_default=text("''")),
    Column("planned_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("source_path", Text, nullable=False),
    Column("source_name", Text, nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("source_kind", Text, nullable=False),
    Column("columns", Text, nullable=False),  # JSON array of the sheet's own column names
    Column("reading", Text, nullable=False),  # JSON object: the options that the sheet was read with
    Column("reports", Text, nullable=False, server_default=text("'[]'")),  # JSON array of the requested paths
    Column("api_url", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("simulated", _flag("simulated"), nullable=False),
    Column("tool_version", String(40), nullable=False),
    Column("lookup_wanted", _flag("lookup_wanted"), nullable=False),
    Column(
        "last_call_known", Key, nullable=False, server_default=text("0")
    ),  # the last call of any batch when the plan was made
    Column("looked_up_at", Float),  # when the tenant was last asked which of the devices may be offboarded
    Column("findings", Text, nullable=False, server_default=text("'{}'")),  # JSON object: what the look-ups found
    Column("plan_sha256", String(64), nullable=False, server_default=text("''")),  # of everything that is approved
    # `planning` while its rows are being written: such a batch is not visible yet.
    CheckConstraint(_one_of("state", BatchState), name="known_batch_state"),
    CheckConstraint("(started_at IS NULL) = (state IN ('planning', 'planned'))", name="a_batch_that_was_run_has_begun"),
    CheckConstraint("(ended_at IS NOT NULL) = (state IN ('stopped', 'held', 'finished'))", name="a_run_ends_once"),
    CheckConstraint("state <> 'held' OR halted_because <> ''", name="a_held_batch_says_why"),
)

# Who approved or denied a plan, each with the digest of what was approved or denied.
approvals = Table(
    "approvals",
    metadata,
    Column("id", Key, primary_key=True),
    Column("batch", ForeignKey("batches.id"), nullable=False),
    Column("person", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("face", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Column("how", String(20), nullable=False),
    Column("plan_sha256", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("granted", _flag("granted"), nullable=False),
    Column("reason", Text, nullable=False),
    CheckConstraint("length(plan_sha256) = 64", name="whole_plan_digest"),
    CheckConstraint("granted = (reason = '')", name="only_a_denial_has_a_reason"),
)
Index("approvals_by_batch", approvals.c.batch, approvals.c.id)

rows = Table(
    "rows",
    metadata,
    Column("batch", ForeignKey("batches.id"), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("device_id", Text, nullable=False),
    Column("device_name", Text, nullable=False),
    Column("reason", String(20)),  # why the row is skipped; null if it has a job
    Column("detail", Text, nullable=False),
    Column("first_row", Integer),
    Column("cells", Text, nullable=False),  # JSON array
    Column("facts", Text),  # JSON array: what the look-up found about the device, if the tenant has it
    CheckConstraint(f"reason IS NULL OR {_one_of('reason', Reason)}", name="known_reason"),
    CheckConstraint("(first_row IS NULL) OR (reason IS NOT NULL)", name="only_a_skipped_row_points_to_another"),
    sqlite_with_rowid=False,
)

jobs = Table(
    "jobs",
    metadata,
    Column("batch", Key, primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("tenant", ForeignKey("tenants.id"), nullable=False),
    Column("device_id", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("action_id", Text, nullable=False),
    Column("action_status", Text, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("http_status", Integer),
    Column("submitted_at", Float),
    Column("finished_at", Float),
    Column("action_at", Float),  # the action's last change, by the server's clock
    Column(
        "own_action", _flag("own_action"), nullable=False
    ),  # our call created the action; others are never cancelled
    Column("resent", _flag("resent"), nullable=False),  # sent again after a doubt; never a third time
    Column("settled", String(6), nullable=False, server_default=text("''")),  # who settled a doubt: list or person
    Column("cancels", Integer, nullable=False, server_default=text("0")),  # calls started to cancel the action
    ForeignKeyConstraint(["batch", "row"], ["rows.batch", "rows.row"]),
    CheckConstraint(_one_of("state", JobState), name="known_job_state"),
    CheckConstraint("length(device_id) = 40", name="whole_device_id"),
    CheckConstraint("state <> 'submitted' OR action_id <> '' OR settled = 'person'", name="submitted_has_an_action"),
    CheckConstraint("settled IN ('', 'list', 'person')", name="known_settler"),
    CheckConstraint("cancels = 0 OR own_action", name="only_own_actions_are_cancelled"),
    CheckConstraint(f"(state IN ({_FINISHED})) = (finished_at IS NOT NULL)", name="finished_has_a_time"),
    CheckConstraint("attempts > 0 OR state IN ('pending', 'skipped')", name="no_result_without_a_call"),
    sqlite_with_rowid=False,
)

Index("jobs_by_device", jobs.c.tenant, jobs.c.device_id)

# A device that is being sent or in doubt in any batch of the tenant cannot be sent by another job.
Index(
    "one_open_call_per_device",
    jobs.c.tenant,
    jobs.c.device_id,
    unique=True,
    sqlite_where=jobs.c.state.in_(["sending", "in_doubt"]),
    postgresql_where=jobs.c.state.in_(["sending", "in_doubt"]),
)

# Who may send for a tenant and application. A free lease has no holder; an epoch is never reused.
leases = Table(
    "leases",
    metadata,
    Column("scope", ForeignKey("scopes.id"), primary_key=True),
    Column("epoch", Key, nullable=False),
    Column("holder", Text),
    Column("renewed_at", Float, nullable=False),
    CheckConstraint("epoch > 0", name="epochs_begin_with_one"),
)

# Every call: the attempts of the jobs, and at the same time the call log of the quota.
calls = Table(
    "calls",
    metadata,
    Column("id", Key, primary_key=True),
    Column("scope", ForeignKey("scopes.id"), nullable=False),
    Column("api", String(20), nullable=False),
    Column("batch", Key),
    Column("row", Integer),
    Column("attempt", Integer),
    Column("epoch", Key, nullable=False, server_default=text("0")),  # of the lease that the intent was written under
    Column("owner", Text, nullable=False, server_default=text("''")),  # who held it: machine/number
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("ended_ticks", Float),
    Column("boot", String(64), nullable=False),
    Column("verdict", String(14)),
    Column("http_status", Integer),
    Column("code", Text),
    Column("message", Text),
    Column("target", Text),
    ForeignKeyConstraint(["batch", "row"], ["jobs.batch", "jobs.row"]),
    CheckConstraint(f"verdict IS NULL OR {_one_of('verdict', Verdict)}", name="known_verdict"),
    CheckConstraint("(ended_at IS NULL) = (ended_ticks IS NULL)", name="an_end_has_both_times"),
    CheckConstraint("(ended_at IS NULL) = (verdict IS NULL)", name="a_verdict_ends_the_call"),
)
Index("one_call_per_attempt", calls.c.batch, calls.c.row, calls.c.api, calls.c.attempt, unique=True)
Index("calls_by_quota", calls.c.scope, calls.c.api, calls.c.id)
Index(
    "open_calls",
    calls.c.scope,
    sqlite_where=calls.c.ended_at.is_(None),
    postgresql_where=calls.c.ended_at.is_(None),
)

# The 429 answers: how long the server asked to wait, and whether our own call log explained it.
throttles = Table(
    "throttles",
    metadata,
    Column("id", Key, primary_key=True),
    Column("scope", ForeignKey("scopes.id"), nullable=False),
    Column("api", String(20), nullable=False),
    Column("at", Float, nullable=False),
    Column("ticks", Float, nullable=False),
    Column("boot", String(64), nullable=False),
    Column("wait", Float, nullable=False),  # seconds
    Column("slower", _flag("slower"), nullable=False),
)

# How doubts were settled: by the tenant's list, or by a named person.
settlements = Table(
    "settlements",
    metadata,
    Column("id", Key, primary_key=True),
    Column("batch", Key, nullable=False),
    Column("row", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("settled", String(6), nullable=False),
    Column("who", Text, nullable=False),
    Column("accepted", _flag("accepted"), nullable=False),
    Column("action_id", Text, nullable=False),
    Column("note", Text, nullable=False),
    ForeignKeyConstraint(["batch", "row"], ["jobs.batch", "jobs.row"]),
    CheckConstraint("settled IN ('list', 'person')", name="known_settler_of_a_doubt"),
)
Index("settlements_by_job", settlements.c.batch, settlements.c.row)

# Who did what and when, chained by hashes (core.audit). Append-only.
audit = Table(
    "audit",
    metadata,
    Column("number", Key, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),  # microseconds since the epoch
    Column("kind", String(12), nullable=False),
    Column("content", Text, nullable=False),  # JSON object
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

# What no constraint can express. SQLite's INSERT OR REPLACE deletes without firing delete triggers, so the last trigger
# catches it.
_APPEND_ONLY = {
    "sqlite": (
        """CREATE TRIGGER audit_changes_no_record BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit record cannot be changed'); END""",
        """CREATE TRIGGER audit_loses_no_record BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit record cannot be shortened'); END""",
        """CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
        WHEN new.number <> coalesce((SELECT max(number) FROM audit), 0) + 1
        OR new.previous <> coalesce((SELECT hash FROM audit ORDER BY number DESC LIMIT 1), new.previous)
        BEGIN SELECT RAISE(ABORT, 'the audit record grows at its end only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the audit record cannot be changed or shortened'; END $$""",
        """CREATE TRIGGER audit_changes_and_loses_no_record BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
        EXECUTE FUNCTION audit_only_grows()""",
    ),
}
for _dialect, _statements in _APPEND_ONLY.items():
    for _statement in _statements:
        _ddl = DDL(_statement)  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        event.listen(audit, "after_create", _ddl.execute_if(dialect=_dialect))

# When nightly runs over an inbox began and ended, so that a missed night is noticed.
nights = Table(
    "nights",
    metadata,
    Column("id", Key, primary_key=True),
    Column("inbox", Text, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("exit_code", Integer),
    CheckConstraint("(ended_at IS NULL) = (exit_code IS NULL)", name="an_end_has_an_exit_code"),
)
Index("nights_by_inbox", nights.c.inbox, nights.c.began_at)
