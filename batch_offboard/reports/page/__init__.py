"""The report as one self-contained HTML page: no network, no other files, no active content from outside.

Every text from a sheet or the API is escaped; the page's own style and script are allowed by their hashes, and nothing
else is. Rows are streamed and never held. Nothing here knows the file's name.
"""

from batch_offboard.reports.page.page import write_page

__all__ = ["write_page"]
