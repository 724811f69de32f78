"""What is said of an encrypted file, and how a container tells which kind of encryption it has.

Whoever opens such a file at work often has set no password: a sensitivity label or rights management encrypts it for
everybody but its readers, and Excel encrypts some workbooks whose structure is protected.
"""

from collections.abc import Iterable

from batch_offboard.base.errors import InputError


def encrypted(name: str) -> InputError:
    """The error for a file that is encrypted in a way that cannot be told."""
    return InputError(
        f"{name} is encrypted, by a password, a sensitivity label or the protection of the workbook; save a copy "
        "without protection, as CSV for example."
    )


def encrypted_with_password(name: str) -> InputError:
    """The error for a file that is encrypted with a password, be it one that Excel sets by itself."""
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

    [MS-OFFCRYPTO] 2.2 for rights management in the old and the new formats, 1.3.1 for passwords. Beside the content,
    the old formats keep a sheet that only says that the workbook is protected.
    """
    plain = {stream.casefold().lstrip("\t\x06") for stream in streams}
    if any(stream.startswith("drm") for stream in plain):
        raise encrypted_by_label(name)
    if "encryptedpackage" in plain:
        raise encrypted_with_password(name) if "encryptioninfo" in plain else encrypted(name)
