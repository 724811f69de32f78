"""Which devices a protected list names, and which lists are invalid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.protected import Protected, ProtectedListError, parse_protected
from batch_offboard.core.tenant import Machine

ONE, TWO = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"


def machine(name: str = "lt-1.contoso.example", group: str = "Workstations", *tags: str) -> Machine:
    return Machine(
        device_id=ONE,
        name=name,
        platform="Windows11",
        version="24H2",
        build=26100,
        agent_version="10.8800",
        onboarding="Onboarded",
        health="Active",
        last_seen=None,
        merged_into="",
        group=group,
        tags=tags,
        cloud_managed=False,
    )


def why(text: str, device_id: str = ONE, name: str = "", found: Machine | None = None) -> str | None:
    return parse_protected(text).why(device_id, name, found)


# -- what a rule names --


def test_a_rule_names_by_its_own_kind_alone() -> None:
    of_group = machine("lt-1", "servers")
    assert why("servers", found=of_group) is None
    assert why("group: servers", found=of_group) == "group: servers"
    assert why("tag: servers", found=of_group) is None
    assert why(f"name: {ONE}") is None


def test_marks_are_compared_in_their_normal_form() -> None:
    assert why("tag: Straße", found=machine("lt-1", "g", "STRASSE")) == "tag: Straße"


def test_a_tag_of_stars_is_a_tag() -> None:
    assert why("tag: ***", found=machine("lt-1", "g", "***")) == "tag: ***"
    assert why("tag: ***", found=machine("lt-1", "g", "VIP")) is None


@pytest.mark.parametrize("rule", [ONE, ONE.upper(), f"id: {ONE}", f"ID:{ONE.upper()}", f"  {ONE}\u200b "])
def test_a_device_is_named_by_its_id_in_any_case(rule: str) -> None:
    assert why(rule) == ONE
    assert why(rule, TWO) is None


@pytest.mark.parametrize(
    ("rule", "name", "held"),
    [
        ("dc-*", "dc-01", True),
        ("dc-*", "DC-01.contoso.example", True),
        ("DC-*", "dc-01", True),
        ("dc-*", "adc-01", False),
        ("dc-*", "dc", False),
        ("dc-0?", "dc-01", True),
        ("dc-0?", "dc-011", False),
        ("*.contoso.example", "lt-9.contoso.example", True),
        ("*.contoso.example", "lt-9", False),
        ("srv-sql", "srv-sql.contoso.example", True),
        ("name: srv-sql", "srv-sql", True),
        ("srv-[ab]", "srv-b", True),
        ("srv-[!ab]", "srv-b", False),
    ],
)
def test_a_pattern_names_computers_with_and_without_their_domain(rule: str, name: str, held: bool) -> None:
    assert (why(rule, name=name) is not None) == held
    assert (why(rule, found=machine(name)) is not None) == held


def test_the_tenants_name_counts_as_well_as_the_sheets() -> None:
    assert why("dc-*", name="lt-7", found=machine("dc-01.contoso.example")) == "dc-*"
    assert why("dc-*", name="dc-01", found=machine("lt-7")) == "dc-*"


def test_no_pattern_names_a_device_without_a_name() -> None:
    assert why("dc-*", name="", found=machine("")) is None


@pytest.mark.parametrize(
    ("rule", "found", "held"),
    [
        ("tag: vip", machine("x", "", "pilot", "VIP"), True),
        ("tag: vip", machine("x", "", "vip-east"), False),
        ("tag: vip", machine("vip", "vip"), False),
        ("group: domain controllers", machine("x", "Domain Controllers"), True),
        ("group: domain controllers", machine("x", "Servers", "domain controllers"), False),
        ("group: Servers", None, False),
    ],
)
def test_tags_and_groups_are_the_tenants(rule: str, found: Machine | None, held: bool) -> None:
    assert (why(rule, found=found) == rule) == held


def test_the_rule_is_told_as_it_was_typed() -> None:
    text = f"# the ones that must stay\n\n{ONE}\nTag:  VIP\ndc-*\n"
    assert why(text, TWO, found=machine("x", "", "vip")) == "Tag:  VIP"
    assert why(text, TWO, name="DC-2") == "dc-*"
    assert why(text, TWO) is None


def test_only_ids_can_be_kept_without_the_tenant() -> None:
    assert not parse_protected(f"{ONE}\n{TWO}").needs_lookup
    for rule in ("dc-*", "tag: vip", "group: Servers"):
        assert parse_protected(f"{ONE}\n{rule}").needs_lookup


def test_no_list_protects_nothing() -> None:
    assert Protected().why(ONE, "dc-01", machine("dc-01")) is None
    assert not Protected().needs_lookup


# -- invalid lists --


@pytest.mark.parametrize("text", ["", "\n\n", "# only words\n  # and more\n", "\ufeff\u200b\n"])
def test_a_list_without_a_rule_is_refused(text: str) -> None:
    with pytest.raises(ProtectedListError, match="is empty"):
        parse_protected(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tags: vip", "has an unknown kind 'tags' in line 3"),
        ("id: 1234", r"has an invalid device ID in line 3 \('1234'\)"),
        (f"id: {ONE}0", "has an invalid device ID in line 3"),
        ("*", "matches nothing or everything"),
        ("?*", "matches nothing or everything"),
        ("*.*", "matches nothing or everything"),
        ("name:", "matches nothing or everything"),
        ("tag:", "matches nothing or everything"),
        ("group:  ", "matches nothing or everything"),
    ],
)
def test_a_line_that_says_nothing_clear_refuses_the_list_with_its_number(line: str, words: str) -> None:
    with pytest.raises(ProtectedListError, match=words):
        parse_protected(f"{ONE}\n# note\n{line}\n")


def test_a_wrong_line_cannot_disturb_a_terminal() -> None:
    with pytest.raises(ProtectedListError) as caught:
        parse_protected("id: \x1b[2J\u202e")
    assert str(caught.value).isprintable()


# -- what holds for every list --

IDS = st.integers(0, 2**160 - 1).map("{:040x}".format)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)


@given(st.lists(IDS, min_size=1, max_size=20), IDS)
def test_a_list_of_ids_names_exactly_these(listed: list[str], other: str) -> None:
    protected = parse_protected("\n".join(each.upper() for each in listed))
    assert all(protected.why(each, "", None) == each for each in listed)
    assert (protected.why(other, "", None) is not None) == (other in listed)


@given(st.lists(NAMES, min_size=1, max_size=10), NAMES, st.sampled_from(["", ".contoso.example", ".CORP"]))
def test_a_list_of_names_names_exactly_these_in_every_domain(listed: list[str], name: str, domain: str) -> None:
    protected = parse_protected("\n".join(f"name: {each}" for each in listed))
    assert (protected.why(ONE, f"{name}{domain}", None) is not None) == (name in listed)


def parsed(text: str) -> Protected | str:
    try:
        return parse_protected(text)
    except ProtectedListError as error:
        return str(error)


@given(st.text(max_size=60))
def test_any_text_is_a_list_with_rules_or_a_sentence(text: str) -> None:
    found = parsed(text)
    if isinstance(found, str):
        assert found.startswith(("is ", "has "))
        assert found.isprintable()
    else:
        assert found.rules
        found.why(ONE, "lt-1", machine())


def test_the_digest_of_a_list_is_that_of_its_rules_alone() -> None:
    digest = parse_protected("dc-*\ntag: vip\n").sha256
    assert digest == parse_protected("# the domain controllers\n\nDC-*\n  tag: VIP\n").sha256
    others = ["dc-*\n", "dc-*\ngroup: vip\n", "dc-?\ntag: vip\n", "tag: vip\ndc-*\nsrv-*\n"]
    assert len({digest, *(parse_protected(text).sha256 for text in others)}) == 5
    assert len(digest) == 64
    assert Protected().sha256 == ""
