"""All that we know about the Defender for Endpoint API: how a request looks, and what an answer means.

Pure: nothing is sent here. The pages named inside are those of Microsoft's documentation of the Defender for
Endpoint API (learn.microsoft.com/defender-endpoint/api/…). Statuses decide first, codes second, texts never.
"""

from batch_offboard.defender.protocol.cancel import cancel_request, classify_cancel
from batch_offboard.defender.protocol.lists import (
    Read,
    ReadKind,
    action_request,
    actions_request,
    classify_read,
    following_request,
    machines_request,
    next_page_by_number,
)
from batch_offboard.defender.protocol.offboard import classify, offboard_request
from batch_offboard.defender.protocol.paging import ForeignLinkError, Pages
from batch_offboard.defender.protocol.wire import MAX_BODY, Answer, Fault, NoAnswer, Request, parse_object, retry_after

__all__ = [
    "MAX_BODY",
    "Answer",
    "Fault",
    "ForeignLinkError",
    "NoAnswer",
    "Pages",
    "Read",
    "ReadKind",
    "Request",
    "action_request",
    "actions_request",
    "cancel_request",
    "classify",
    "classify_cancel",
    "classify_read",
    "following_request",
    "machines_request",
    "next_page_by_number",
    "offboard_request",
    "parse_object",
    "retry_after",
]
