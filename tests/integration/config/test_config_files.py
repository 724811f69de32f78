"""Configuration files and secret files as people really have them."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from batch_offboard.base.errors import ConfigError
from batch_offboard.config import (
    ClientSecret,
    Config,
    SecretName,
    SecretPlace,
    is_configured,
    load_config,
    read_private_file,
    read_secret,
)
from batch_offboard.config.tree import KEYS

EXAMPLE = Path(__file__).resolve().parents[3] / "config.example.yaml"
TENANT = "1f0e7c1a-5b7e-4c53-9a55-0d6f3f4a2b10"
CLIENT = "9d2b6c3e-0a41-4f0b-8a77-3c1d5e7f9a02"
CANARY = "q7R~canary.Secret-1"
SIGN_IN = f"tenant_id: {TENANT}\nclient_id: {CLIENT}\ncredential: {{type: client_secret, secret_env: S}}\n"

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes protect nothing on Windows")


def save(folder: Path, text: str | bytes, name: str = "config.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def load(path: Path | None, cwd: Path, **environ: str) -> Config:
    return load_config(path, environ, cwd)


def refusal(call: Callable[[], object]) -> str:
    """The sentence, with the path's folder cut off: what the operator needs is file, line and key."""
    with pytest.raises(ConfigError) as caught:
        call()
    return re.sub(r"\S*[/\\](?=config\.yaml)", "", str(caught.value))


# -- the example --


def test_the_example_with_the_ids_filled_in_is_the_defaults(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for own in (TENANT, CLIENT):
        text = text.replace("00000000-0000-0000-0000-000000000000", own, 1)
    assert load(save(tmp_path, text), tmp_path) == Config(
        tenant_id=TENANT,
        client_id=CLIENT,
        credential=ClientSecret(type="client_secret", secret_env="BATCH_OFFBOARD_SECRET"),
    )


def test_the_example_as_it_stands_asks_for_the_ids(tmp_path: Path) -> None:
    message = refusal(lambda: load(EXAMPLE, tmp_path))
    assert message.endswith(
        "config.example.yaml, line 8: 'tenant_id' is still the example's zero ID; put your own ID there."
    )


def test_the_example_names_every_key() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for section, names in KEYS.items():
        assert re.search(rf"^{section}:", text, re.MULTILINE)
        for name in names:
            assert re.search(rf"\b{name}\b", text), f"{section}.{name}"
    holds = yaml.safe_load(text)
    assert set(holds) == set(KEYS)
    for section in ("quota", "guards", "network"):
        assert set(holds[section]) == KEYS[section]


# -- where the file is looked for --


def test_the_file_named_goes_before_the_variable_and_the_variable_before_the_folder(tmp_path: Path) -> None:
    for name, workers in (("config.yaml", 1), ("from-variable.yaml", 2), ("named.yaml", 3)):
        save(tmp_path, f"{SIGN_IN}workers: {workers}\n", name)
    variable = {"BATCH_OFFBOARD_CONFIG": "from-variable.yaml"}
    assert load(Path("named.yaml"), tmp_path, **variable).workers == 3
    assert load(None, tmp_path, **variable).workers == 2
    assert load(None, tmp_path).workers == 1
    assert load(None, tmp_path, BATCH_OFFBOARD_CONFIG="").workers == 1


@pytest.mark.parametrize(
    ("path", "environ", "place", "origin"),
    [
        (None, {}, "config.yaml", "the default"),
        (
            None,
            {"BATCH_OFFBOARD_CONFIG": "v.yaml", "BATCH_OFFBOARD_WORKERS": "8"},
            "v.yaml",
            "$BATCH_OFFBOARD_CONFIG",
        ),
        (Path("n.yaml"), {"BATCH_OFFBOARD_WORKERS": "8"}, "n.yaml", "--config"),
    ],
)
def test_a_missing_file_is_told_with_two_ways_on(
    tmp_path: Path, path: Path | None, environ: dict[str, str], place: str, origin: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, tmp_path, **environ)
    assert str(caught.value) == (
        f"There is no configuration at {tmp_path / place} ({origin}); "
        "start from a copy of config.example.yaml, or rehearse with --simulate, which needs none."
    )


def test_a_configuration_is_asked_for_by_a_file_or_by_a_key_in_a_variable(tmp_path: Path) -> None:
    assert not is_configured(None, {"BATCH_OFFBOARD_SECRET": CANARY, "BATCH_OFFBOARD_CONFIG": ""}, tmp_path)
    assert is_configured(Path("gone.yaml"), {}, tmp_path)
    assert is_configured(None, {"BATCH_OFFBOARD_CONFIG": "gone.yaml"}, tmp_path)
    assert is_configured(None, {"BATCH_OFFBOARD_WORKERS": "8"}, tmp_path)
    save(tmp_path, SIGN_IN)
    assert is_configured(None, {}, tmp_path)


def test_variables_stand_above_the_file_key_by_key(tmp_path: Path) -> None:
    save(tmp_path, SIGN_IN + "workers: 3\nquota: {per_minute: 50, burst: 5}\n")
    config = load(None, tmp_path, BATCH_OFFBOARD_QUOTA__BURST="7", BATCH_OFFBOARD_COMMENT="Gone")
    assert (config.workers, config.quota.per_minute, config.quota.burst, config.comment) == (3, 50, 7, "Gone")


def test_a_file_without_settings_is_filled_by_variables(tmp_path: Path) -> None:
    save(tmp_path, "# all by variables\n")
    config = load(
        None,
        tmp_path,
        BATCH_OFFBOARD_CREDENTIAL__TYPE="access_token",
        BATCH_OFFBOARD_CREDENTIAL__TOKEN_ENV="T",
    )
    assert config.credential.type == "access_token"
    assert refusal(lambda: load(None, tmp_path)).startswith("config.yaml: 'credential' is missing")


def test_relative_paths_start_where_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    save(tmp_path / "etc", SIGN_IN + f"journal: j.sqlite\nguards: {{protected: '{tmp_path / 'p.csv'}'}}\n")
    config = load(Path("etc/config.yaml"), tmp_path, BATCH_OFFBOARD_NETWORK__CA_FILE="ca.pem")
    assert config.journal == tmp_path / "etc" / "j.sqlite"
    assert config.guards.protected == tmp_path / "p.csv"
    assert config.network.ca_file == tmp_path / "ca.pem"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    save(tmp_path, SIGN_IN + "journal: ~/j.sqlite\n")
    assert load(None, tmp_path).journal == tmp_path / "home" / "j.sqlite"


# -- what is wrong in a file, and in which line --


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("workerz: 8\n", "line 4: 'workerz' is not a key; did you mean 'workers'?"),
        ("per_minute: 8\n", "line 4: 'per_minute' is not a key; did you mean 'quota.per_minute'?"),
        ("zebra: 8\n", "line 4: 'zebra' is not a key; config.example.yaml shows all keys."),
        (
            "quota:\n  per_minute: 8\n  per_hours: 9\n",
            "line 6: 'quota.per_hours' is not a key; did you mean 'quota.per_hour'?",
        ),
        ('workers: "8"\n', "line 4: 'workers' must be a whole number from 1 to 64, not text."),
        ("comment:\n  - a\n", "line 4: 'comment' must be one line of text, at most 400 characters long, not a list."),
        ("workerz:\n  - a\n", "line 4: 'workerz' is not a key; did you mean 'workers'?"),
        ("workers:\n", "line 4: 'workers' must be a whole number from 1 to 64, not nothing."),
        ("workers: [8]\n", "line 4: 'workers' must be a whole number from 1 to 64, not a list."),
        ("workers: 8.0\n", "line 4: 'workers' must be a whole number from 1 to 64, not a fraction."),
        (
            "workers: !!int many\n",
            "line 4: 'workers' must be a whole number from 1 to 64, not a value with this tag.",
        ),
        (
            "workers: !thing 8\n",
            "line 4: 'workers' must be a whole number from 1 to 64, not a value with this tag.",
        ),
        (
            "comment: {a: b}\n",
            "line 4: 'comment' must be one line of text, at most 400 characters long, not a mapping.",
        ),
        ("comment: |\n  Gone\n", "line 4: 'comment' must be one line without control characters."),
        (
            "workers: 8\ncomment: x\nworkers: 9\n",
            "line 6: 'workers' is set a second time, first in line 4; keep one of the two.",
        ),
        (
            "quota:\n  burst: 1\n  burst: 1\n",
            "line 6: 'quota.burst' is set a second time, first in line 5; keep one of the two.",
        ),
        (
            "quota:\n",
            ("line 4: 'quota' must hold keys of its own, such as quota.burst; leave the section out for its defaults."),
        ),
        ("quota:\n\tburst: 1\n", "line 5: a tab is used where only spaces can indent; replace it with spaces."),
        ("---\nworkers: 8\n", "line 4: a second document begins; keep one document in the file."),
        ("workers: &eight 8\n", "line 4: anchors (&) and aliases (*) are not used here."),
        ("workers: *eight\n", "line 4: anchors (&) and aliases (*) are not used here."),
        ("<<: {workers: 8}\n", "line 4: '<<' is not a key; config.example.yaml shows all keys."),
        ("8: 8\n", "line 4: '8' is not a key; config.example.yaml shows all keys."),
        ("? [a]\n: 8\n", "line 4: a key must be one of the names in the example file."),
        ("comment: " + "[" * 5000 + "\n", "line 4: the nesting is too deep for a configuration."),
        ('comment: "\\UFFFFFFFF"\n', "a \\U escape in it is not a valid character; write the character itself."),
        ("comment: \a\n", "line 4: the text contains a control character; delete it."),
        (
            "quota: {burst: 5, per_minute: 4}\n",
            "line 4: 'quota.burst' must be at most per_minute, which is 4.",
        ),
        (
            f"x\x1b[2J: {CANARY}\n".replace("\x1b", "\\e"),
            "line 4: 'x\\e[2J' is not a key; config.example.yaml shows all keys.",
        ),
        (f'"x\\e[2J": {CANARY}\n', "line 4: this name is not a key; config.example.yaml shows all keys."),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = save(tmp_path, SIGN_IN + text)
    separator = ": " if sentence.startswith("a \\U") else ", "
    assert refusal(lambda: load(path, tmp_path)) == f"config.yaml{separator}{sentence}"


@pytest.mark.parametrize("text", ["workers 8\n", "a: b: c\n", "comment: 'open\n", "}\n", "%TAG\n", "comment: @x\n"])
def test_what_is_not_yaml_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    message = refusal(lambda: load(save(tmp_path, SIGN_IN + text), tmp_path))
    assert re.fullmatch(
        r"config\.yaml, line [3-6]: this is not YAML \(.+\); compare it with config\.example\.yaml\.", message
    )


@pytest.mark.parametrize("text", ["- workers\n", "workers\n", "8\n", "[]\n"])
def test_a_file_without_keys_is_told_so(tmp_path: Path, text: str) -> None:
    assert refusal(lambda: load(save(tmp_path, text), tmp_path)) == (
        "config.yaml, line 1: the file must hold keys with values, as in 'workers: 8'."
    )


def test_words_and_numbers_mean_what_they_look_like(tmp_path: Path) -> None:
    save(tmp_path, SIGN_IN + "comment: no\nworkers: 010\n")
    config = load(None, tmp_path)
    assert (config.comment, config.workers) == ("no", 10)


def test_a_bomb_of_anchors_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    bomb = "a: &a [x,x]\n" + "".join(f"{c}: &{c} [*{p},*{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True))
    assert "anchors" in refusal(lambda: load(save(tmp_path, bomb), tmp_path))


# -- what is not text at all --


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_utf_8_is_read_with_and_without_its_mark(tmp_path: Path, encoding: str) -> None:
    save(tmp_path, (SIGN_IN + "comment: Stillgelegt für immer\n").replace("\n", "\r\n").encode(encoding))
    assert load(None, tmp_path).comment == "Stillgelegt für immer"


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("cp1252", 4)])
def test_another_encoding_is_refused(tmp_path: Path, encoding: str, line: int) -> None:
    path = save(tmp_path, (SIGN_IN + "comment: für immer\n").encode(encoding))
    assert refusal(lambda: load(path, tmp_path)) == (
        f"config.yaml, line {line}: the text is not UTF-8; save the file as UTF-8."
    )


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    assert refusal(lambda: load(None, tmp_path)) == ("config.yaml is a folder; name the configuration file in it.")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = save(tmp_path, b"#" * 1024 * 1024)
    assert refusal(lambda: load(path, tmp_path)).startswith("config.yaml: 'credential' is missing")
    save(tmp_path, b"#" * (1024 * 1024 + 1))
    assert "larger than 1 MiB" in refusal(lambda: load(path, tmp_path))


@posix_only
def test_an_unreadable_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").symlink_to("config.yaml")
    message = refusal(lambda: load(None, tmp_path))
    assert re.fullmatch(r"config\.yaml cannot be read \(.+\); check its permissions and its name\.", message)


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read|no configuration"):
        load(Path("a\0b"), tmp_path)


# -- secrets --


@pytest.mark.parametrize(
    "text",
    [
        f"credential: {{type: client_secret, secret: {CANARY}}}\n",
        f"credential: {{type: client_secret, client_secret: {CANARY}}}\n",
        f"credential: {{type: client_secret, secret_env: {CANARY}}}\n",
        f"secret: {CANARY}\n",
        f"comment: {{deep: {CANARY}\n",
        f"api_url: https://u:{CANARY}@h\n",
        f"{CANARY}\n",
        f"workers: {CANARY}\n",
        f"comment: '{CANARY}\n",
        f"cloud: {CANARY}\n",
        f"network: {{proxy: 'http://u:{CANARY}@h'}}\n",
    ],
)
def test_no_refusal_shows_a_value(tmp_path: Path, text: str) -> None:
    message = refusal(lambda: load(save(tmp_path, text), tmp_path))
    assert CANARY not in message
    assert "config.yaml" in message


def named(path: Path) -> SecretName:
    return SecretName(SecretPlace.FILE, str(path), "credential.secret_file")


def private(folder: Path, content: bytes) -> Path:
    path = save(folder, content, "my secret")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_secret_file_is_read_without_its_last_newline(tmp_path: Path, ending: bytes) -> None:
    path = private(tmp_path, b"\xef\xbb\xbf " + CANARY.encode() + b" " + ending)
    assert read_secret(named(path), {}).reveal() == f" {CANARY} "


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "is missing or empty"), (b"\n", "is missing or empty"), (b"a\nb\n", "more than one line"),
     (b"\xff\xfe", "not UTF-8"), (b"x" * 65537, "larger than 64 KiB")],
)  # fmt: skip
def test_a_secret_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = private(tmp_path, content)
    message = refusal(lambda: read_secret(named(path), {}))
    assert problem in message
    assert message.startswith(f"The file {path} (credential.secret_file)")


def test_a_secret_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = refusal(lambda: read_secret(named(tmp_path / "gone"), {}))
    assert message.startswith(f"The file {tmp_path / 'gone'} (credential.secret_file) cannot be read (")
    assert "cannot be read" in refusal(lambda: read_secret(named(tmp_path), {}))
    assert "no such name" in refusal(lambda: read_secret(named(tmp_path / "a\0b"), {}))


@posix_only
@pytest.mark.parametrize("mode", [0o604, 0o660, 0o620, 0o644, 0o777])
def test_a_secret_file_open_to_others_is_refused_with_the_command_to_type(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path, CANARY.encode())
    path.chmod(mode)
    assert refusal(lambda: read_secret(named(path), {})) == (
        f"The file {path} (credential.secret_file) is open to other users of this computer; type: chmod 600 '{path}'"
    )


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700, 0o440, 0o640])
def test_a_file_that_nobody_but_its_owner_or_our_group_may_read_is_read_as_bytes(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path, b"\x00key")
    os.chown(path, -1, os.getegid())
    path.chmod(mode)
    assert read_private_file(path, "credential.certificate_file") == b"\x00key"


@posix_only
def test_a_link_to_an_open_file_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path, CANARY.encode())
    path.chmod(0o644)
    (tmp_path / "link").symlink_to(path)
    assert "chmod 600" in refusal(lambda: read_secret(named(tmp_path / "link"), {}))


@posix_only
def test_a_volume_of_kubernetes_that_is_too_open_is_refused_with_its_own_remedy(tmp_path: Path) -> None:
    """Kubernetes writes a volume's files into a folder with a date, and links to it (`..data`)."""
    dated = tmp_path / "..2026_11_24_08_15_31.1234"
    dated.mkdir()
    path = private(dated, CANARY.encode())
    path.chmod(0o644)
    (tmp_path / "..data").symlink_to(dated.name)
    (tmp_path / "secret").symlink_to("..data/my secret")
    message = refusal(lambda: read_secret(named(tmp_path / "secret"), {}))
    assert "set defaultMode: 0440 for its volume" in message
    assert "chmod" not in message
    path.chmod(0o440)
    os.chown(path, -1, os.getegid())
    assert read_secret(named(tmp_path / "secret"), {}).reveal() == CANARY
