"""The commands with which a second person approves or denies a plan: approve, deny.

What a command needs is imported inside it, so that `--help` and the quick commands stay quick.
"""

from typing import Annotated

import typer

from batch_offboard.base.errors import ExitCode
from batch_offboard.cli import options as given
from batch_offboard.cli.app import app
from batch_offboard.cli.groups import grouped
from batch_offboard.cli.running import awaited
from batch_offboard.cli.working import options_of


@app.command(epilog="Example: batch-offboard approve 20261124-0815-kqzt")
@grouped
def approve(batch: given.BatchName, *, where: given.Where, output: given.Output) -> int:
    """Approve a plan that somebody else submitted (guards.approvals)."""
    from batch_offboard.cli.screens import approvals as screens_approvals
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import approving, facts
    from batch_offboard.commands.desk import Desk
    from batch_offboard.core.consent import Consent

    chosen = options_of(where, batch=batch)
    with Desk(chosen) as desk:
        view = approving.to_approve(desk, batch)
        how = screens_approvals.confirm_approval(view, yes=output.yes, quiet=output.quiet)
        done = awaited(approving.approve(desk, view, Consent(chosen.actor, how)))
    text = screens_json.dump(facts.decision_facts(done)) if output.json else screens_approvals.approval_text(done)
    screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    return ExitCode.OK


@app.command(epilog="Example: batch-offboard deny 20261124-0815-kqzt 'row 7 is still in use'")
@grouped
def deny(
    batch: given.BatchName,
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why; the submitter reads it.")],
    *,
    where: given.Where,
    output: given.Output,
) -> int:
    """Deny a plan, with a reason, so that it cannot be run."""
    from batch_offboard.cli.screens import approvals as screens_approvals
    from batch_offboard.cli.screens import json as screens_json
    from batch_offboard.cli.screens import texts as screens
    from batch_offboard.commands import approving, facts
    from batch_offboard.commands.desk import Desk
    from batch_offboard.core.consent import Consent

    chosen = options_of(where, batch=batch)
    with Desk(chosen) as desk:
        done = awaited(approving.deny(desk, batch, reason, Consent(chosen.actor, "typed")))
    text = screens_json.dump(facts.decision_facts(done)) if output.json else screens_approvals.approval_text(done)
    screens.show(text, quiet=output.quiet and not output.json, prose=not output.json)
    return ExitCode.OK
