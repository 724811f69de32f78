"""All that we know about the Defender for Endpoint API: how a request looks, and what an answer means.

Pure: nothing is sent here. The pages named inside are those of Microsoft's documentation of the Defender for
Endpoint API (learn.microsoft.com/defender-endpoint/api/…). Statuses decide first, codes second, texts never.
"""

from batch_offboard.protocol.actions import FINAL_STATUSES, UNSUCCESSFUL, MachineAction, Token, token_in
from batch_offboard.protocol.cancel import cancel_request, classify_cancel
from batch_offboard.protocol.lists import (
    Read,
    ReadKind,
    action_request,
    actions_request,
    classify_read,
    following_request,
    machines_request,
    next_page_by_number,
)
from batch_offboard.protocol.machines import Machine
from batch_offboard.protocol.offboard import (
    MAX_COMMENT,
    classify,
    comment_with_token,
    correlation_token,
    offboard_request,
)
from batch_offboard.protocol.paging import ForeignLinkError, Pages
from batch_offboard.protocol.wire import (
    MAX_BODY,
    Answer,
    ApiName,
    Fault,
    NoAnswer,
    Request,
    parse_object,
    retry_after,
)

__all__ = [
    "FINAL_STATUSES",
    "MAX_BODY",
    "MAX_COMMENT",
    "UNSUCCESSFUL",
    "Answer",
    "ApiName",
    "Fault",
    "ForeignLinkError",
    "Machine",
    "MachineAction",
    "NoAnswer",
    "Pages",
    "Read",
    "ReadKind",
    "Request",
    "Token",
    "action_request",
    "actions_request",
    "cancel_request",
    "classify",
    "classify_cancel",
    "classify_read",
    "comment_with_token",
    "correlation_token",
    "following_request",
    "machines_request",
    "next_page_by_number",
    "offboard_request",
    "parse_object",
    "retry_after",
    "token_in",
]
