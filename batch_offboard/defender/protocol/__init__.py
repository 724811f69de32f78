"""Everything specific to the Defender for Endpoint API: how to build a request, and what an answer means.

Pure: nothing is sent here. Page names in the comments refer to Microsoft's documentation of the Defender for
Endpoint API (learn.microsoft.com/defender-endpoint/api/…). The status decides first, the code second, the text never.
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
