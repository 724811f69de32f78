"""Writes the packages that a user installs as a CycloneDX document: `python -m tests.bill_of_materials sbom.json`.

They come from the lock file, which has every package with version and hashes; nothing is fetched.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from batch_offboard import __version__

ROOT = Path(__file__).resolve().parents[1]
PYPI = "https://pypi.org/project/{}/{}/"


def packages(lock: str) -> Iterator[Component]:
    """One component for each locked package, with the hashes of all its files."""
    for line in lock.replace("\\\n", " ").splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line)
        if found is None:
            continue
        name, version = found.groups()
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in re.findall(r"sha256:([0-9a-f]+)", line)]
        place = XsUri(PYPI.format(name, version))
        yield Component(
            name=name,
            version=version,
            type=ComponentType.LIBRARY,
            purl=PackageURL("pypi", name=name, version=version),
            external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=place, hashes=hashes)],
        )


def bill(lock: str, name: str) -> Bom:
    program = Component(name=name, version=__version__, type=ComponentType.APPLICATION)
    bom = Bom()
    bom.metadata.component = program
    for package in packages(lock):
        bom.components.add(package)
    bom.register_dependency(program, bom.components)
    return bom


def main(arguments: list[str]) -> int:
    file = Path(arguments[0] if arguments else "sbom.json")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bom = bill((ROOT / "requirements.lock").read_text(encoding="utf-8"), project["name"])
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    file.write_text(text, encoding="utf-8")
    print(f"{file} names what a user installs: {len(bom.components)} packages with versions and hashes.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
