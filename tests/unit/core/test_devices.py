"""A cell is a device ID or a sentence; what is almost an ID is never repaired."""

import hashlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_offboard.core.devices import (
    INVISIBLE,
    Refusal,
    is_guid,
    is_id,
    judge_id,
    normal_name,
    same_name,
    shown,
    trimmed,
)
from batch_offboard.core.rows import CellKind, NotText

ID = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
OTHER = "b4d206f3ac8e5197d3f2bac9e80716250f4d3c2b"
GUID = "2f0a6b57-5f0c-4b37-9a35-1f9a4d1b7c55"


def reason(cell: str | NotText) -> str:
    verdict = judge_id(cell)
    assert isinstance(verdict, Refusal), verdict
    return verdict.detail


@pytest.mark.parametrize(
    "cell",
    [
        ID,
        ID.upper(),
        f"  {ID}\t",
        f"\r\n{ID}\r\n",
        f"\u00a0{ID}\u200b",
        f"\ufeff{ID}\u00ad",
        f"\u2060{ID}\u200d",
        f"\u3000{ID}\u180e",
        f"\u200e{ID}\u200f",
    ],
)
def test_an_id_is_taken_whatever_its_case_and_whatever_invisible_surrounds_it(cell: str) -> None:
    assert judge_id(cell) == ID


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "empty"),
        (" \t\u00a0\u200b", "empty"),
        ("null", "means no value"),
        ("NULL", "means no value"),
        ("NaN", "means no value"),
        ("N/A", "means no value"),
        ("none", "means no value"),
        ("TBD", "means no value"),
        ("-", "means no value"),
        (ID[:39], "39 hexadecimal digits"),
        (ID + "0", "41 hexadecimal digits"),
        (GUID, "Entra or Intune device ID, not a Defender device ID"),
        (GUID.upper(), "Entra or Intune device ID, not a Defender device ID"),
        ("{" + GUID + "}", "Entra or Intune device ID, not a Defender device ID"),
        ("1.23457E+39", "converted into a number"),
        ("1,23457E+39", "converted into a number"),
        ("1E+39", "converted into a number"),
        ("-1.2e+39", "converted into a number"),
        ("1234567890123456998112189569901256507392", "was converted into a number by a spreadsheet"),
        ("1234567890123450000000000000000000000000", "was converted into a number by a spreadsheet"),
        ("12345678901234567890" + "0" * 20, "was converted into a number by a spreadsheet"),
        ("0" * 40, "placeholder"),
        ("f" * 40, "placeholder"),
        ("F" * 40, "placeholder"),
        ("1e5bc9d7e413ddd7902c2932e418702b84d0cc07", "Microsoft's documentation"),
        ("1E5BC9D7E413DDD7902C2932E418702B84D0CC07", "Microsoft's documentation"),
        (f"{ID},{OTHER}", "2 device IDs"),
        (f"{ID}\n{OTHER}", "2 device IDs"),
        (f"{ID} {OTHER}", "2 device IDs"),
        (f"https://security.microsoft.com/machines/{ID}?tid=1", "web address"),
        (f"security.microsoft.com/machines/{ID}", "web address"),
        (f"'{ID}", "apostrophe"),
        (f"’{ID}", "apostrophe"),
        (f'"{ID}"', "quotation marks or brackets"),
        (f"<{ID}>", "quotation marks or brackets"),
        (f"`{ID}`", "quotation marks or brackets"),
        (f"«{ID}»", "quotation marks or brackets"),
        (f"{ID},", "other text (',')"),
        (f"{ID};", "other text (';')"),
        (f"{ID}.", "other text ('.')"),
        (f"{ID} (retired)", "other text ('(retired)')"),
        (f"{ID[:20]} {ID[20:]}", "space or a line break inside"),
        (f"{ID[:20]}\r\n{ID[20:]}", "space or a line break inside"),
        (f"{ID[:20]}\u00a0{ID[20:]}", "U+00A0"),
        (f"{ID[:20]}\u200b{ID[20:]}", "U+200B (ZERO WIDTH SPACE)"),
        (f"{ID[:20]}\u200d{ID[20:]}", "U+200D"),
        (f"{ID[:20]}\u00ad{ID[20:]}", "U+00AD (SOFT HYPHEN)"),
        (f"{ID[:20]}\ufeff{ID[20:]}", "U+FEFF"),
        (f"{ID[:20]}\u2060{ID[20:]}", "U+2060 (WORD JOINER)"),
        (f"\u202e{ID}", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        (f"{ID[:20]}\u2066{ID[20:]}", "U+2066"),
        ("１" * 40, "is a placeholder"),
        ("１" * 39, "U+FF11 (FULLWIDTH DIGIT ONE)"),
        ("٣" + ID[1:], "U+0663 (ARABIC-INDIC DIGIT THREE)"),
        ("а" + ID[1:], "U+0430 (CYRILLIC SMALL LETTER A)"),
        ("ε" + ID[1:], "U+03B5"),
        ("O" + ID[1:], "the letter O where a digit should be"),
        (ID[:39] + "l", "the letter l where a digit should be"),
        ("g" + ID[1:], "contains 'g'"),
        ("=A1", "formula"),
        (f'=HYPERLINK("http://x","{ID}")', "formula"),
        ("+cmd|' /C calc'!A0", "formula"),
        ("-1+1", "formula"),
        ("@SUM(A1)", "formula"),
        ("#REF!", "spreadsheet error"),
        ("#N/A", "spreadsheet error"),
        ("#NAME?", "spreadsheet error"),
        ("TRUE", "true-or-false"),
        ("false", "true-or-false"),
        ("2026-11-20", "a date"),
        ("20.11.2026", "a date"),
        ("11/20/2026 10:00", "a date"),
        ("12345", "a number"),
        ("1.5", "a number"),
        ("lt-0417", "computer name"),
        ("lt-0417.contoso.example", "computer name"),
        ("10.20.4.17", "a number"),
        ("../../x", "not a device ID"),
        ("%2e%2e/", "not a device ID"),
        ("a/offboard?x=", "not a device ID"),
        ("' or 1 eq 1", "not a device ID"),
        ("{{7*7}}", "not a device ID"),
        ("${jndi:ldap://x}", "not a device ID"),
        ("<script>alert(1)</script>", "not a device ID"),
        ("'; DROP TABLE x", "not a device ID"),
        ("Total: 40", "not a device ID"),
        ("x" * 32_768, "32768 characters"),
        ("\x1b[2J", "U+001B"),
        ("a\x07b", "U+0007"),
        ("a\x00b", "U+0000"),
        ("\ud800" + ID, "U+D800"),
    ],
)
def test_what_is_no_id_is_called_what_it_is(cell: str, said: str) -> None:
    assert said in reason(cell)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (NotText(CellKind.NUMBER, "1.234567890123457e+39"), "a number ('1.234567890123457e+39'): a spreadsheet"),
        (NotText(CellKind.NUMBER, ID), "a number"),
        (NotText(CellKind.DATE, "2026-11-20"), "a date or time ('2026-11-20')"),
        (NotText(CellKind.BOOLEAN, "TRUE"), "a true-or-false value ('TRUE')"),
        (NotText(CellKind.FORMULA, ID), f"a formula ('{ID}')"),
        (NotText(CellKind.FORMULA, ""), "a formula; enter"),
        (NotText(CellKind.ERROR, ""), "a spreadsheet error; correct"),
        (NotText(CellKind.MERGED, "\x1b[2J"), "merged with others ('\\x1b[2J')"),
        (NotText(CellKind.MISSING, ""), "shorter than the header"),
    ],
)
def test_a_cell_that_is_not_text_is_refused_by_its_type_even_if_it_looks_like_an_id(cell: NotText, said: str) -> None:
    assert said in reason(cell)


def test_every_kind_of_cell_has_words_of_its_own() -> None:
    sentences = {reason(NotText(kind, "x")) for kind in CellKind}
    assert len(sentences) == len(CellKind)


def test_forty_decimal_digits_that_no_float_would_print_are_an_id() -> None:
    assert judge_id("1234512345123451234512345123451234512345") == "1234512345123451234512345123451234512345"


@given(st.floats(min_value=1e39, max_value=9.99e39))
def test_no_number_of_forty_digits_that_a_program_prints_passes_for_an_id(number: float) -> None:
    assert isinstance(judge_id(str(int(number))), Refusal)
    assert isinstance(judge_id(f"{number:.14e}"), Refusal)


HEX_LIKE = st.text("0123456789abcdefABCDEF \u00a0\u200b\ufeffOl１а'\"{}-,", min_size=36, max_size=44)
PADDING = st.text(INVISIBLE, max_size=3)


@given(st.one_of(st.text(), HEX_LIKE, st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zs", "Zl", "Nd"]))))
@example("")
@example("\ud800")
@example(ID + "\n")
def test_any_text_is_either_its_own_id_or_one_printable_line_of_refusal(cell: str) -> None:
    verdict = judge_id(cell)
    if isinstance(verdict, Refusal):
        assert verdict.detail.isprintable()
        assert verdict.detail.endswith((".", "…"))
    else:
        assert re.fullmatch("[0-9a-f]{40}", verdict)
        assert verdict == trimmed(cell).lower()


@given(PADDING, st.text("0123456789abcdef", min_size=40, max_size=40), PADDING)
def test_padding_never_changes_the_verdict(left: str, digits: str, right: str) -> None:
    assert judge_id(left + digits.upper() + right) == judge_id(digits)


@given(st.binary(max_size=20))
def test_the_ids_that_defender_makes_pass(seed: bytes) -> None:
    digest = hashlib.sha1(seed, usedforsecurity=False).hexdigest()
    assert judge_id(digest) == digest


@given(st.text())
def test_what_is_shown_is_one_short_printable_line(text: str) -> None:
    line = shown(text)
    assert line.isprintable()
    assert len(line) <= 60


def test_what_is_shown_of_printable_text_is_the_text() -> None:
    assert shown("Gerät 端末 1") == "Gerät 端末 1"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\x0ab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\U000e0001x", "\\U000e0001x"),
        ("y" * 61, "y" * 59 + "…"),
        ("y" * 60, "y" * 60),
    ],
)
def test_what_a_terminal_would_obey_is_escaped_and_long_text_is_cut(text: str, line: str) -> None:
    assert shown(text) == line


def test_a_guid_is_known_with_and_without_braces_and_an_id_is_none() -> None:
    assert is_guid(f" {{{GUID.upper()}}} ")
    assert is_guid(GUID)
    assert not is_guid(ID)
    assert not is_guid(NotText(CellKind.FORMULA, GUID))
    assert is_id(ID)
    assert not is_id(GUID)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LT-0417", "lt-0417"),
        ("lt-0417", "LT-0417.contoso.example"),
        ("lt-0417.contoso.example", "lt-0417"),
        ("lt-0417.contoso.example ", "\u00a0LT-0417.Contoso.Example"),
        ("ＬＴ-0417", "lt-0417"),
        ("Mu\u0308ller-PC", "M\u00fcller-pc"),
        ("STRASSE", "straße"),
    ],
)
def test_names_of_one_computer_agree(one: str, other: str) -> None:
    assert same_name(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lt-0417", "lt-0418"),
        ("lt-0417.contoso.example", "lt-0417.fabrikam.example"),
        ("lt-0417.contoso", "lt-0417.contoso.example"),
        ("lt-041", "lt-0417.contoso.example"),
        ("", ""),
        ("", "lt-0417"),
    ],
)
def test_names_of_different_computers_do_not_agree(one: str, other: str) -> None:
    assert not same_name(one, other)


@given(st.text())
def test_a_normal_name_stays_as_it_is(name: str) -> None:
    assert normal_name(normal_name(name)) == normal_name(name)


@given(st.text(), st.text())
def test_agreement_of_names_has_no_direction(one: str, other: str) -> None:
    assert same_name(one, other) == same_name(other, one)
