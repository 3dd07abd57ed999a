"""Lists what an image contains, Debian packages and crates, as CycloneDX 1.5 JSON."""

import argparse
import datetime
import json
import tomllib
import uuid
from pathlib import Path


def package(line: str) -> dict:
    name, version, architecture = line.split("\t")
    return component(name, version, f"pkg:deb/debian/{name}@{version}?arch={architecture}&distro=trixie", "library")


def crate(entry: dict) -> dict:
    found = component(entry["name"], entry["version"], f"pkg:cargo/{entry['name']}@{entry['version']}", "library")
    if "checksum" in entry:
        found["hashes"] = [{"alg": "SHA-256", "content": entry["checksum"]}]
    return found


def component(name: str, version: str, purl: str, kind: str) -> dict:
    return {"type": kind, "name": name, "version": version, "purl": purl, "bom-ref": purl}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("version", "packages", "lock", "time"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    lines = Path(given.packages).read_text().splitlines()
    crates = [entry for entry in tomllib.loads(Path(given.lock).read_text())["package"] if "source" in entry]
    components = [package(line) for line in lines] + [crate(entry) for entry in crates]
    moment = datetime.datetime.fromtimestamp(int(given.time), datetime.timezone.utc)
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(components, sort_keys=True) + given.version)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component("polygate", given.version, f"pkg:generic/polygate@{given.version}", "operating-system"),
        },
        "components": components,
    }
    print(json.dumps(document, indent=1))


main()
