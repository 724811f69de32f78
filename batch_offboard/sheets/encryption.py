"""Errors for encrypted files, and detection of the kind of encryption in a container.

The user has often set no password: a sensitivity label or rights management encrypts the file for everyone except its
readers, and Excel encrypts some workbooks whose structure is protected.
"""

from collections.abc import Iterable

from batch_offboard.base.errors import InputError


def encrypted(name: str) -> InputError:
    """The error for a file with an unknown kind of encryption."""
    return InputError(
        f"{name} is encrypted, by a password, a sensitivity label or the protection of the workbook; save a copy "
        "without protection, as CSV for example."
    )


def encrypted_with_password(name: str) -> InputError:
    """The error for a file that is encrypted with a password, possibly one that Excel set itself."""
    return InputError(
        f"{name} is encrypted with a password or by the protection of the workbook; save a copy without protection, as "
        "CSV for example."
    )


def encrypted_by_label(name: str) -> InputError:
    """The error for a file that a sensitivity label or rights management encrypts."""
    return InputError(
        f"{name} is encrypted by a sensitivity label or rights management; choose a label that does not encrypt, or "
        "save a copy as CSV."
    )


def refuse_encrypted(streams: Iterable[str], name: str) -> None:
    """Raise InputError if a compound file with these streams only wraps an encrypted one.

    [MS-OFFCRYPTO] 2.2 for rights management in the old and the new formats, 1.3.1 for passwords. In addition to the
    content, the old formats keep a sheet that only says that the workbook is protected.
    """
    plain = {stream.casefold().lstrip("\t\x06") for stream in streams}
    if any(stream.startswith("drm") for stream in plain):
        raise encrypted_by_label(name)
    if "encryptedpackage" in plain:
        raise encrypted_with_password(name) if "encryptioninfo" in plain else encrypted(name)
