"""Who may read or change a file on Windows, by its access list. The twin of a file's mode on other systems.

The list is read through the Windows API. `icacls` shows it too, but as text in the language of the system, with account
names that differ between languages. What the API returns is a security descriptor in Microsoft's string form (SDDL):
learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format and `ace-strings` beside it.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import PurePath

EVERYONE = "S-1-1-0"

# Account names of SDDL, as SIDs: those that a default list may have, and those that a program may run as.
_ACCOUNTS = {
    "WD": EVERYONE,
    "AN": "S-1-5-7",
    "AU": "S-1-5-11",
    "BA": "S-1-5-32-544",
    "BG": "S-1-5-32-546",
    "BU": "S-1-5-32-545",
    "CO": "S-1-3-0",
    "IU": "S-1-5-4",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "NU": "S-1-5-2",
    "OW": "S-1-3-4",
    "PU": "S-1-5-32-547",
    "SY": "S-1-5-18",
}
_NAMES = {
    EVERYONE: "Everyone",
    "S-1-5-7": "Anonymous",
    "S-1-5-11": "Authenticated Users",
    "S-1-5-32-545": "Users",
    "S-1-5-32-546": "Guests",
    "S-1-5-4": "Interactive",
    "S-1-5-2": "Network",
}
# Whoever administers the computer can read every file, as root can; the owner's own entries are of this user.
_TRUSTED = frozenset(
    {
        "S-1-5-18",  # the system
        "S-1-5-32-544",  # its administrators
        "S-1-3-0",  # the creator
        "S-1-3-4",  # the owner
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",  # the installer of Windows
    }
)

_RIGHTS = {
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
    "RC": 0x20000,
    "SD": 0x10000,
    "WD": 0x40000,
    "WO": 0x80000,
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
    "KA": 0xF003F,
    "KR": 0x20019,
    "KW": 0x20006,
    "KX": 0x20019,
}
# Reads or writes the content, or lets the account grant itself that: data, append, the list, the owner, generic rights.
_HARMFUL = 0x1 | 0x2 | 0x4 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000 | 0x80000000

_GRANTS = frozenset({"A", "OA", "XA", "ZA"})


def others_with_access(descriptor: str, own: str) -> tuple[str, ...]:
    """The SIDs of accounts that may read or change the file, other than `own`, which is this one, and those that
    administer the computer. `descriptor`: SDDL with the access list.

    Entries that deny are not counted, since they may cover only a part, and a condition is taken as met: a file is
    refused rather than trusted. A file without a list is open to everyone; FAT has no lists.
    """
    found = re.search(r"D:([A-Z_]*)((?:\(.*\))?)", descriptor, re.DOTALL)
    if found is None or "NO_ACCESS_CONTROL" in found[1]:
        return (EVERYONE,)
    granted = dict.fromkeys(
        account for entry in _entries(found[2]) if (account := _granted(entry)) not in {"", own, *_TRUSTED}
    )
    return tuple(granted)


def _entries(text: str) -> Iterator[str]:
    """What is within each outermost pair of parentheses; a condition has some of its own."""
    depth = start = 0
    for position, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "(" and depth == 1:
            start = position + 1
        elif sign == ")" and depth == 0:
            yield text[start:position]


def _granted(entry: str) -> str:
    """The SID that the entry lets read or change the file, else empty."""
    kind, flags, rights, _object, _inherited, account, *_condition = f"{entry};;;;;".split(";")
    inherit_only = "IO" in re.findall("..", flags)  # holds for files below a folder, and for the folder itself not
    if kind not in _GRANTS or inherit_only or not _mask(rights) & _HARMFUL:
        return ""
    return _ACCOUNTS.get(account, account)


def _mask(rights: str) -> int:
    if rights[:1].isdigit():
        return int(rights, 0) if not re.fullmatch("0[0-7]+", rights) else int(rights, 8)
    return sum({_RIGHTS.get(each, _HARMFUL) for each in re.findall("..?", rights)}) if rights else 0


def named(account: str) -> str:
    """The account as people know it, if it is a usual group; else its SID."""
    return _NAMES.get(account, account)


def closing_command(path: PurePath, own: str, others: tuple[str, ...]) -> str:
    """What to type so that only this account can use the file; the same in PowerShell and in cmd, in every language."""
    removed = "".join(f' /remove:g "*{account}"' for account in others)
    return f'icacls "{path}" /inheritance:r /grant:r "*{own}:F"{removed}'


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _FILE = 1  # SE_FILE_OBJECT
    _OWNER_AND_LIST = 0x1 | 0x4
    _TOKEN_QUERY, _TOKEN_USER = 0x8, 1

    _advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel.LocalFree.argtypes = (ctypes.c_void_p,)
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    _advapi.GetSecurityInfo.argtypes = (
        wintypes.HANDLE,
        ctypes.c_int,
        wintypes.DWORD,
        *(ctypes.c_void_p,) * 4,
        ctypes.POINTER(ctypes.c_void_p),
    )
    _advapi.GetSecurityInfo.restype = wintypes.DWORD
    _advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW.argtypes = (
        ctypes.c_void_p,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_void_p,
    )
    _advapi.OpenProcessToken.argtypes = (wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE))
    _advapi.GetTokenInformation.argtypes = (
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    )
    _advapi.ConvertSidToStringSidW.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))

    def descriptor_of(descriptor: int) -> str:
        """The security descriptor of an open file as SDDL. Raises OSError."""
        import msvcrt

        security, text = ctypes.c_void_p(), ctypes.c_void_p()
        handle = msvcrt.get_osfhandle(descriptor)
        code = _advapi.GetSecurityInfo(handle, _FILE, _OWNER_AND_LIST, None, None, None, None, ctypes.byref(security))
        if code:
            raise ctypes.WinError(code)
        try:
            if not _advapi.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                security, 1, _OWNER_AND_LIST, ctypes.byref(text), None
            ):
                raise ctypes.WinError(ctypes.get_last_error())
            return _taken(text)
        finally:
            _kernel.LocalFree(security)

    def own_account() -> str:
        """The SID that this process runs as. Raises OSError."""
        token, size, text = wintypes.HANDLE(), wintypes.DWORD(), ctypes.c_void_p()
        if not _advapi.OpenProcessToken(_kernel.GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            _advapi.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
            user = ctypes.create_string_buffer(size.value)
            if not _advapi.GetTokenInformation(token, _TOKEN_USER, user, size, ctypes.byref(size)):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            _kernel.CloseHandle(token)
        sid = ctypes.cast(user, ctypes.POINTER(ctypes.c_void_p))[0]  # TOKEN_USER begins with the SID's address
        if not _advapi.ConvertSidToStringSidW(sid, ctypes.byref(text)):
            raise ctypes.WinError(ctypes.get_last_error())
        return _taken(text)

    def _taken(text: ctypes.c_void_p) -> str:
        """The text that the API allocated, which is freed."""
        try:
            return ctypes.wstring_at(text.value or 0)
        finally:
            _kernel.LocalFree(text)
