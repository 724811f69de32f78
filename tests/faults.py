"""The catalogue of faults, row by row, and what no test shows, with the reason.

Tests name the rows that they show with `@pytest.mark.fault(number, outcome)`; `tests.fault_page` combines both into
`docs/faults.md`. A row with neither a test nor a reason here fails the checks, and so does a mark without a row.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    number: int
    what: str
    when: str = "any"


class Section(NamedTuple):
    title: str
    faults: Sequence[Fault]


CATALOGUE: Sequence[Section] = (
    Section(
        "The program dies, or is asked to end",
        (
            Fault(1, "kill -9", "before the intent is durable"),
            Fault(2, "kill -9", "intent durable, nothing sent"),
            Fault(3, "kill -9", "half of the request sent"),
            Fault(4, "kill -9", "request sent, no answer yet"),
            Fault(5, "kill -9", "answer read, outcome not durable"),
            Fault(6, "kill -9", "outcome durable, no report yet"),
            Fault(7, "kill -9", "a report replaces an older one"),
            Fault(8, "kill -9", "a plan is being saved"),
            Fault(9, "kill -9", "a journal is created, or migrated to a newer version"),
            Fault(10, "kill -9", "the tenant's list was read, its settlements are not durable"),
            Fault(11, "kill -9", "actions are being cancelled"),
            Fault(12, "kill -9, repeatedly", "at random"),
            Fault(13, "power cut, unsynced writes are lost"),
            Fault(14, "power cut", "right after a commit has returned"),
            Fault(15, "SIGTERM", "nothing in flight, calls in flight, waiting for the quota"),
            Fault(16, "Ctrl-C, once and twice", "calls in flight"),
            Fault(17, "SIGHUP: the terminal or the SSH session ended"),
            Fault(18, "standard output or error is closed", "progress is printed"),
            Fault(19, "Windows: Ctrl-Break, closed console, log-off, end of task", "calls in flight"),
            Fault(20, "process halted for hours, then continued", "between two calls"),
            Fault(21, "computer suspended"),
            Fault(22, "killed for lack of memory", "reading, sending, reporting"),
            Fault(23, "memory runs out in our own code", "a call in flight"),
            Fault(24, "an unexpected error", "a call in flight"),
            Fault(25, "the event loop is blocked for a long time", "calls in flight"),
            Fault(26, "the machine loses power repeatedly", "soon after each start"),
            Fault(27, "another version of the program", "between plan and resume"),
            Fault(28, "the journal is an older copy: a restored backup or snapshot", "resume"),
            Fault(29, "a copy of the journal is used on a second computer", "start"),
        ),
    ),
    Section(
        "Journal, disk and lock",
        (
            Fault(30, "disk full", "an intent is written"),
            Fault(31, "disk full", "the outcome of an accepted call is written"),
            Fault(32, "disk full", "report, log or audit record is written"),
            Fault(33, "the disk reports an error", "commit"),
            Fault(34, "journal read-only, or owned by another user", "start, and in the middle"),
            Fault(35, "journal damaged, cut off or empty", "start"),
            Fault(36, "the rollback file is present, missing, or of another database", "start after a crash"),
            Fault(37, "journal deleted or replaced", "in the middle of a run"),
            Fault(38, "two processes, one journal", "start"),
            Fault(39, "two processes, two journals, one tenant", "start"),
            Fault(40, "a lock of a dead process, or of one whose process ID was reused", "start"),
            Fault(41, "another process reads the journal for a long time", "commit"),
            Fault(42, "journal on a network drive or in a synchronised folder", "start"),
            Fault(43, "a virus scanner or backup holds the journal", "commit"),
            Fault(44, "a link in place of the journal", "start"),
            Fault(45, "no file handles or directory entries left"),
        ),
    ),
    Section(
        "Clocks and windows",
        (
            Fault(46, "the wall clock is moved by an hour or a year", "in the middle of a run"),
            Fault(47, "likewise", "between two runs of one boot"),
            Fault(48, "likewise", "between two runs, across a reboot"),
            Fault(49, "daylight saving time begins or ends", "within a night's window"),
            Fault(50, "edge cases of dates: leap seconds, far years, no year"),
            Fault(51, "no time zone data", "start"),
            Fault(52, "the window closes", "calls in flight"),
            Fault(53, "the machine was off for a night", "start"),
            Fault(54, "the machine's clock is wrong", "start, and when doubts are settled"),
        ),
    ),
    Section(
        "Answers",
        (
            Fault(55, "401, once"),
            Fault(56, "401 again, with the renewed token"),
            Fault(57, "403"),
            Fault(58, "403, the feature is disabled"),
            Fault(59, "404"),
            Fault(60, "400 or 409: an action of the device is already open"),
            Fault(61, "400: platform or client version not supported"),
            Fault(62, "400: the request is not understood"),
            Fault(63, "400 with an unknown code, or with a web page"),
            Fault(64, "429 with a wait in seconds"),
            Fault(65, "429 with a date"),
            Fault(66, "429 without a wait, with an invalid one, or with days"),
            Fault(67, "429 to a read", "the quota of offboard calls is not used up"),
            Fault(68, "429 to everything for an hour"),
            Fault(69, "500, 502, 503 or 504, once"),
            Fault(70, "503 that asks to wait"),
            Fault(71, "5xx to everything"),
            Fault(72, "500 although the call was accepted"),
            Fault(73, "201 without a usable action ID"),
            Fault(74, "201 about another device or kind of action"),
            Fault(75, "201 with the action ID of another device"),
            Fault(76, "201 with an older action, or with another user's comment"),
            Fault(77, "200, 202 or 204 instead of 201"),
            Fault(78, "201 truncated: half the JSON, a wrong length, half a chunk"),
            Fault(79, "a sign-in page or portal instead of the API"),
            Fault(80, "invalid JSON: byte order mark, UTF-16, duplicate names, NaN, depth, huge numbers"),
            Fault(81, "an endless answer, or one that decompresses endlessly"),
            Fault(82, "thousands of headers, a header of a megabyte, forbidden characters"),
            Fault(83, "one byte per second"),
            Fault(84, "a redirect"),
            Fault(85, "endless interim responses; a switch of protocol"),
            Fault(86, "an empty list although there are actions", "doubts are settled"),
            Fault(87, "a list in pages; a next page on another host", "reading"),
            Fault(88, "a list that is refused, fails or is not a list", "doubts are settled"),
            Fault(89, "an accepted action fails later", "following"),
        ),
    ),
    Section(
        "Network, TLS and sign-in",
        (
            Fault(90, "the name does not resolve"),
            Fault(91, "connection refused or never answered"),
            Fault(92, "connection reset", "before a byte of the request was read"),
            Fault(93, "connection reset", "after the call was accepted"),
            Fault(94, "the server closes without a reply, on a new and on a reused connection"),
            Fault(95, "the cable is pulled", "waiting for an answer"),
            Fault(96, "the network is down for minutes"),
            Fault(97, "requests are delayed and arrive together"),
            Fault(98, "the call arrives after its deadline"),
            Fault(99, "a middlebox sends the call twice"),
            Fault(100, "an answer in pieces of one byte"),
            Fault(101, "certificate expired, for another host, self-signed, or of an unknown authority; old TLS"),
            Fault(102, "the proxy requires a password, or is down"),
            Fault(103, "one address of the host is unreachable, another works"),
            Fault(104, "the sign-in service is down, slow, or sends invalid answers"),
            Fault(105, "the secret has expired or is wrong; the application or its consent was deleted"),
            Fault(106, "a token with a lifetime of a few seconds, or an odd one"),
            Fault(107, "the permission is revoked", "in the middle of a run"),
            Fault(108, "the application is disabled", "in the middle of a run"),
            Fault(109, "the certificate or secret file is replaced", "in the middle of a run"),
            Fault(110, "tokens or metadata of another tenant or cloud"),
        ),
    ),
    Section(
        "Files and people",
        (
            Fault(111, "the sheet is edited", "between plan and run"),
            Fault(112, "the sheet is replaced", "while it is read"),
            Fault(113, "the saved plan is tampered with"),
            Fault(114, "an approval that is forged, old or of another plan"),
            Fault(115, "the sheet is open in another program", "reading"),
            Fault(116, "the report is open in Excel", "a report is written"),
            Fault(117, "the report's folder is missing or read-only; the name is too long", "a report is written"),
            Fault(118, "one sheet twice, or one device in two sheets"),
            Fault(119, "one device in several rows, in different case or with spaces"),
            Fault(120, "a finished sheet or batch is run again"),
            Fault(121, "resume with another tenant or comment"),
            Fault(122, "an upload during a nightly run"),
            Fault(123, "two approvers at once"),
            Fault(124, "a form sent twice in a browser"),
            Fault(125, "the log is rotated, or its disk is full"),
            Fault(126, "odd environments: no HOME, LANG=C, no terminal, umask 000"),
            Fault(127, "the nightly folder holds no sheet, an old one, or several"),
            Fault(128, "no run for several nights"),
        ),
    ),
)

_NO_DASHBOARD = "There is no dashboard and no upload."

# Why a row has no test at all.
NOT_SHOWN: Mapping[int, str] = {
    51: "Windows has none, so zone data (tzdata) are a dependency of the program and installed with it.",
    122: _NO_DASHBOARD,
    124: _NO_DASHBOARD,
}

# What the tests of a row do not cover.
LIMITS: Mapping[int, str] = {
    13: "The syncs are SQLite's own; no test discards unsynced writes of the disk.",
    19: "The console's events are handled, but no test sends them: they exist on Windows only.",
    21: "No test suspends a machine; virtual time simulates it.",
    22: "No test exhausts the program's memory.",
    25: "No watchdog: a blocked loop is noticed only by the deadlines that have passed.",
    29: (
        "Locks are local to a computer. Two computers that start with copies of one journal at the same moment do not "
        "notice each other; the look-ups of the tenant before and after the run do."
    ),
    35: (
        "SQLite keeps no checksums, so a flipped bit that leaves a valid value is not detected. A device ID changed in "
        "this way is not in the tenant, and is skipped if the tenant can be read."
    ),
    36: "A rollback file of another database cannot be distinguished from the journal's own; SQLite would apply it.",
    43: "SQLite's errors are real; Windows' answer about the held file is the test's.",
    44: "A hard link is a plain file and is accepted.",
    57: "A second 403 never comes: the first one stops the run.",
    62: "The row of a request that the API does not understand is reported as failed.",
    73: "Any text is accepted as an ID, since no format is documented.",
    108: "How long Defender accepts a token of a disabled application is not documented.",
    113: "The plan is not a file; who can write to the journal can change it, and the audit record shows that.",
    121: "A comment or limit given with `resume` is not compared with that of the first run.",
}
