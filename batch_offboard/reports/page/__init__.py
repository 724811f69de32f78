"""The report as one page that opens anywhere: no network, no file beside it, nothing from outside that acts.

Every text from a sheet or the API is written as text, the page's own style and script are allowed by their hashes and
nothing else is. Rows pass through and are never held. Nothing here names a file.
"""

from batch_offboard.reports.page.page import write_page

__all__ = ["write_page"]
