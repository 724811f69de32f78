"""What can go wrong, row by row, and what no test shows, with the reason.

Tests say by `@pytest.mark.fault(number, outcome)` which rows they show; `tests.fault_page` puts both together into
`docs/faults.md`. A row that has neither a test nor a reason here fails the checks, and so does a mark without a row.
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
            Fault(7, "kill -9", "a report takes the place of an older one"),
            Fault(8, "kill -9", "a plan is being saved"),
            Fault(9, "kill -9", "a journal is made, or brought to a newer version"),
            Fault(10, "kill -9", "the tenant's list was read, what it settles is not durable"),
            Fault(11, "kill -9", "actions are being cancelled"),
            Fault(12, "kill -9, again and again", "at random"),
            Fault(13, "power cut, unsynced writes are lost"),
            Fault(14, "power cut", "right after a commit has returned"),
            Fault(15, "SIGTERM", "nothing in flight, calls in flight, waiting for the quota"),
            Fault(16, "Ctrl-C, once and twice", "calls in flight"),
            Fault(17, "SIGHUP: the terminal or the SSH session is gone"),
            Fault(18, "standard output or error is closed", "progress is printed"),
            Fault(19, "Windows: Ctrl-Break, closed console, log-off, end of task", "calls in flight"),
            Fault(20, "process halted for hours, then continued", "between two calls"),
            Fault(21, "computer suspended"),
            Fault(22, "killed for want of memory", "reading, sending, reporting"),
            Fault(23, "memory runs out in our own code", "a call in flight"),
            Fault(24, "an error that nobody foresaw", "a call in flight"),
            Fault(25, "the event loop stands still for long", "calls in flight"),
            Fault(26, "the machine goes off again and again", "soon after each start"),
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
            Fault(34, "journal read-only, or of another owner", "start, and in the middle"),
            Fault(35, "journal damaged, cut off or empty", "start"),
            Fault(36, "the database's rollback file is there, gone, or another's", "start after a crash"),
            Fault(37, "journal deleted or replaced", "in the middle of a run"),
            Fault(38, "two processes, one journal", "start"),
            Fault(39, "two processes, two journals, one tenant", "start"),
            Fault(40, "a lock of a dead process, or of one whose number another has now", "start"),
            Fault(41, "somebody reads the journal for long", "commit"),
            Fault(42, "journal on a network drive or in a synchronised folder", "start"),
            Fault(43, "a virus scanner or backup holds the journal", "commit"),
            Fault(44, "a link in the journal's place", "start"),
            Fault(45, "no file handles or directory entries left"),
        ),
    ),
    Section(
        "Clocks and windows",
        (
            Fault(46, "the calendar is moved by an hour or a year", "in the middle of a run"),
            Fault(47, "likewise", "between two runs of one boot"),
            Fault(48, "likewise", "between two runs, across a reboot"),
            Fault(49, "clocks are changed for summer or winter", "within a night's window"),
            Fault(50, "dates at the edges: leap seconds, far years, no year"),
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
            Fault(58, "403, the feature is switched off"),
            Fault(59, "404"),
            Fault(60, "400 or 409: an action of the device is open already"),
            Fault(61, "400: platform or client version not supported"),
            Fault(62, "400: the request is not understood"),
            Fault(63, "400 with an unknown code, or as a web page"),
            Fault(64, "429 that names seconds"),
            Fault(65, "429 that names a date"),
            Fault(66, "429 that names nothing, nonsense, or days"),
            Fault(67, "429 to a read", "the calls that offboard have quota left"),
            Fault(68, "429 to everything for an hour"),
            Fault(69, "500, 502, 503 or 504, once"),
            Fault(70, "503 that asks to wait"),
            Fault(71, "5xx to everything"),
            Fault(72, "500 although the call was accepted"),
            Fault(73, "201 without a usable action ID"),
            Fault(74, "201 that speaks of another device or kind of action"),
            Fault(75, "201 with the action ID of another device"),
            Fault(76, "201 with an older action, or with somebody else's comment"),
            Fault(77, "200, 202 or 204 instead of 201"),
            Fault(78, "201 cut off: half the JSON, a wrong length, half a chunk"),
            Fault(79, "a sign-in page or portal in the API's place"),
            Fault(80, "strange JSON: byte order mark, UTF-16, a name twice, NaN, depth, huge numbers"),
            Fault(81, "an answer without end, or one that unpacks without end"),
            Fault(82, "thousands of headers, a header of a megabyte, forbidden characters"),
            Fault(83, "a byte a second"),
            Fault(84, "a redirect"),
            Fault(85, "interim answers without end; a switch of protocol"),
            Fault(86, "an empty list although there are actions", "doubts are settled"),
            Fault(87, "a list in pages; a next page on another host", "reading"),
            Fault(88, "a list that is refused, fails or is no list", "doubts are settled"),
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
            Fault(94, "the server closes without a reply, on a fresh and on a reused connection"),
            Fault(95, "the cable is pulled", "waiting for an answer"),
            Fault(96, "the network is away for minutes"),
            Fault(97, "requests are held up and arrive together"),
            Fault(98, "the call arrives after its deadline"),
            Fault(99, "something on the way sends the call twice"),
            Fault(100, "an answer in pieces of one byte"),
            Fault(101, "certificate expired, for another host, self-signed, or of an unknown authority; old TLS"),
            Fault(102, "the proxy wants a password, or is down"),
            Fault(103, "an address that leads nowhere beside one that works"),
            Fault(104, "the sign-in service is down, slow, or answers nonsense"),
            Fault(105, "the secret has ended or is wrong; the application or its consent is gone"),
            Fault(106, "a token of a few seconds, or of an odd life"),
            Fault(107, "the permission is taken away", "in the middle of a run"),
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
            Fault(115, "the sheet is held by another program", "reading"),
            Fault(116, "the report is open in Excel", "a report is written"),
            Fault(117, "the report's folder is gone or read-only; the name is too long", "a report is written"),
            Fault(118, "one sheet twice, or one device in two sheets"),
            Fault(119, "one device in several rows, in other case or with blanks"),
            Fault(120, "a finished sheet or batch is run again"),
            Fault(121, "resume with another tenant or comment"),
            Fault(122, "an upload while a nightly run is at work"),
            Fault(123, "two approvers at once"),
            Fault(124, "a form sent twice in a browser"),
            Fault(125, "the log is rotated, or its disk is full"),
            Fault(126, "odd surroundings: no HOME, LANG=C, no terminal, umask 000"),
            Fault(127, "the nightly folder holds no sheet, an old one, or several"),
            Fault(128, "nothing happens for nights"),
        ),
    ),
)

_NO_APPROVALS = "Approval by a second person is not part of the program."
_NO_DASHBOARD = "There is no dashboard and no upload."

# Why a row has no test at all.
NOT_SHOWN: Mapping[int, str] = {
    51: "On Windows, which has none, zone data are a dependency of the program (tzdata) and installed with it.",
    114: _NO_APPROVALS,
    122: _NO_DASHBOARD,
    123: _NO_APPROVALS,
    124: _NO_DASHBOARD,
}

# What the tests of a row leave open.
LIMITS: Mapping[int, str] = {
    13: "The syncs are SQLite's own; no test takes unsynced writes away from the disk.",
    19: "The console's events are handled and not sent by a test: they exist on Windows only.",
    21: "No test suspends a machine; virtual time stands for it.",
    22: "No test takes memory away from the program.",
    25: "No watchdog: whether the loop stands still is not noticed, only its deadlines that have passed.",
    29: (
        "Locks are of one computer. Two that begin with one journal at the very same moment do not see one another; "
        "the looks at the tenant before and after the run do."
    ),
    35: (
        "A flipped bit that leaves a value what it can be is not seen by SQLite, which keeps no checksums. A device ID "
        "that was changed so is not in the tenant, and is skipped where the tenant can be read."
    ),
    36: "A rollback file of another database cannot be told from the journal's own; SQLite would play it back.",
    43: "Windows' own locks are not played; another connection's lock stands for them.",
    44: "A hard link is a plain file and is taken.",
    57: "A second 403 never comes: the first one stops the run.",
    62: "The row of a request that the API does not understand is reported as failed.",
    73: "Any text is an ID, since no shape is documented.",
    108: "How long Defender accepts a token of a disabled application is Microsoft's to say.",
    113: "There is no file of the plan; who may write the journal may change it, and the record shows it afterwards.",
    121: "A comment or limit given with `resume` is not compared with the first one's.",
}
