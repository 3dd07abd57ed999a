"""Names the kernel modules a board keeps: those in the folders or of the names it lists, and all they depend on."""

import fnmatch
import sys
from pathlib import Path, PurePosixPath


def dependencies(modules_dep: str) -> dict[str, list[str]]:
    """What each module needs, from depmod's `modules.dep`."""
    found = {}
    for line in Path(modules_dep).read_text().splitlines():
        module, _, needs = line.partition(":")
        found[module] = needs.split()
    return found


def patterns(path: str) -> list[str]:
    lines = (line.partition("#")[0] for line in Path(path).read_text().splitlines())
    return [word for line in lines for word in line.split()]


def is_named(module: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        return module.startswith(f"kernel/{pattern}")
    name = PurePosixPath(module).name.split(".")[0].replace("-", "_")
    return fnmatch.fnmatch(name, pattern.replace("-", "_"))


def main(modules_dep: str, list_path: str) -> None:
    needs = dependencies(modules_dep)
    wanted = patterns(list_path)
    kept: set[str] = set()
    for module, needed in needs.items():
        if any(is_named(module, pattern) for pattern in wanted):
            kept.add(module)
            kept.update(needed)
    print("\n".join(sorted(kept)))


main(*sys.argv[1:])
