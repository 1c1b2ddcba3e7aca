"""The module list of src/CMakeLists.txt is the architecture: what a module includes, it must be allowed to use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
MODULE = re.compile(r"rvsweep_module\(\s*(\w+)\s+SOURCES\s+([^)]*?)(?:\s+USES\s+([^)]*?))?\s*\)", re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)

# What a library's headers are called, and the target that a module must use to include them.
LIBRARIES = {
    r"(ATen|c10|torch)/": "libtorch",
    r"hdf5\.h|H5\w*\.h": "hdf5::hdf5",
    r"mpi\.h": "MPI::MPI_CXX",
    r"boost/": "Boost::program_options",
    r"nlohmann/": "nlohmann_json::nlohmann_json",
    r"spdlog/": "spdlog::spdlog",
    r"pcre2\.h": "PkgConfig::PCRE2",
    r"xxhash\.h": "PkgConfig::XXHASH",
}


def listed_modules() -> dict[str, tuple[list[str], list[str]]]:
    """Module -> its sources and what it uses."""
    text = re.sub(r"#.*", "", (ROOT / "src" / "CMakeLists.txt").read_text())
    text = re.sub(r"function\(.*?endfunction\(\)", "", text, flags=re.DOTALL)
    return {name: (sources.split(), (uses or "").split()) for name, sources, uses in MODULE.findall(text)}


MODULES = listed_modules()


def usable(module: str) -> set[str]:
    """The module itself and everything that it uses, directly or through what it uses."""
    found: set[str] = set()
    waiting = [f"rvsweep_{module}"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += MODULES[name.removeprefix("rvsweep_")][1] if name.startswith("rvsweep_") else []
    return found


def files_of(module: str) -> list[Path]:
    folders = ROOT / "src" / module, ROOT / "include" / "rvsweep" / module
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".cpp", ".hpp"})


def file_of(included: str) -> Path:
    """A header of the project by the words that include it."""
    return ROOT / ("include" if included.startswith("rvsweep/") else "src") / included


def all_files() -> list[Path]:
    return sorted(path for top in ("src", "include") for path in (ROOT / top).rglob("*.[ch]pp"))


def test_every_folder_is_a_module():
    folders = {path.name for top in ("src", "include/rvsweep") for path in (ROOT / top).iterdir() if path.is_dir()}
    assert folders == set(MODULES)
    assert len(MODULES) == 15


def test_every_source_is_built():
    for module, (sources, _) in MODULES.items():
        folder = ROOT / "src" / module
        present = {str(path.relative_to(folder)) for path in folder.rglob("*.cpp")} - {"main.cpp"}
        assert present == set(sources), module


def test_a_source_includes_its_own_header_first():
    for source in sorted((ROOT / "src").rglob("*.cpp")):
        own = source.relative_to(ROOT / "src").with_suffix(".hpp").as_posix()
        header = next((name for name in (f"rvsweep/{own}", own) if file_of(name).is_file()), None)
        if header:
            assert INCLUDE.findall(source.read_text())[0] == header, f"{source} does not include its own header first"


def test_public_headers_are_those_that_other_modules_include():
    """include/ is the list of what a module lends; a header that it keeps to itself lies beside its .cpp."""
    users: dict[str, set[str]] = {}
    for module in MODULES:
        for path in files_of(module):
            for included in INCLUDE.findall(path.read_text()):
                users.setdefault(included, set()).add(module)
    for path in sorted((ROOT / "include").rglob("*.hpp")):
        name = path.relative_to(ROOT / "include").as_posix()
        assert users.get(name, set()) - {name.split("/")[1]}, f"{name}: no other module includes it"


@pytest.mark.parametrize("module", MODULES)
def test_modules_include_what_they_may_use(module):
    allowed = usable(module)
    for path in files_of(module):
        for included in INCLUDE.findall(path.read_text()):
            if included.startswith("rvsweep/"):
                needed = "rvsweep_" + included.split("/")[1]
                assert file_of(included).is_file(), f"{path} includes {included}, which does not exist"
            elif file_of(included).is_file():
                needed = "rvsweep_" + included.split("/")[0]
                assert included.split("/")[0] == module, f"{path} includes {included}, which {needed} keeps to itself"
            else:
                needed = next((target for name, target in LIBRARIES.items() if re.match(name, included)), None)
            assert needed is None or needed in allowed, f"{path} includes {included} of {needed}, beyond {module}"


def test_modules_use_one_another_in_one_direction():
    for module, (_, uses) in MODULES.items():
        for used in uses:
            if used.startswith("rvsweep_"):
                assert used.removeprefix("rvsweep_") in MODULES, f"{module} uses {used}, which is no module"
                assert f"rvsweep_{module}" not in usable(used.removeprefix("rvsweep_")), f"{module} and {used}"


def test_the_promised_separations_hold():
    torch, hdf5, mpi = "libtorch", "hdf5::hdf5", "MPI::MPI_CXX"
    assert not usable("scheduler") & {torch, hdf5}
    assert not usable("plan") & {torch, hdf5, mpi}
    assert not usable("experiment") & {hdf5, mpi}
    assert not usable("metrics") & {"rvsweep_model", "rvsweep_plan"}
    assert [module for module in MODULES if hdf5 in MODULES[module][1]] == ["storage"]
    assert [module for module in MODULES if mpi in MODULES[module][1]] == ["comm"]
    assert [module for module in MODULES if "Boost::program_options" in MODULES[module][1]] == ["cli"]
    assert not any("rvsweep_cli" in usable(module) for module in MODULES if module != "cli")


def test_only_kernels_ask_where_a_tensor_lies():
    """Everything above them goes through the device's table of operations."""
    for path in all_files():
        if "kernels" not in path.parts:
            asks = re.findall(r"\bis_(?:cpu|cuda|mkldnn)\(", path.read_text())
            assert not asks, f"{path.relative_to(ROOT)} asks {asks}"


def test_files_are_small():
    assert len(all_files()) > 100
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in all_files()}
    assert {path: n for path, n in lines.items() if n > MAX_LINES} == {}
    assert lines["src/cli/main.cpp"] <= 80
