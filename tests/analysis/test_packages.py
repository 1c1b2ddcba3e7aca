"""The package rvsweep: which part imports which, how its scripts start, and where .venv finds it."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT, run_script

import rvsweep

ANALYSIS = ROOT / "analysis"
PACKAGE = ANALYSIS / "rvsweep"
MAX_LINES = 400
USES = {  # package -> those that it may import
    "data": set(),
    "stats": {"data"},
    "figures": {"data", "stats"},
    "report": {"data", "stats", "figures"},
    "bank": {"data", "figures", "report"},
    "cli": {"data", "stats", "figures", "report", "bank", "program", "localize"},
}


def imported(path: Path) -> set[str]:
    """Names of modules as they are written, anywhere in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def test_every_folder_of_code_is_a_listed_package():
    folders = {path.parent.name for path in PACKAGE.rglob("*.py")} - {"rvsweep"}
    assert folders == set(USES) and all((PACKAGE / name / "__init__.py").is_file() for name in USES)


@pytest.mark.parametrize("package", USES)
def test_packages_import_in_one_direction(package):
    for path in (PACKAGE / package).rglob("*.py"):
        for name in imported(path):
            assert not name.startswith("."), f"{path}: {name}: name the package"
            if name.startswith("rvsweep."):
                assert name.split(".")[1] in USES[package] | {package}, f"{path} imports {name}"


def test_files_are_small():
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in ANALYSIS.rglob("*.py")}
    assert len(lines) > 50 and {path for path, n in lines.items() if n > MAX_LINES} == set()


def test_scripts_import_the_package_and_touch_no_search_path():
    scripts = {path.stem for path in ANALYSIS.glob("*.py")}
    assert scripts == {"report", "compare", "export", "blind", "bank", "chat_template", "localize"}
    for name in scripts:
        path = ANALYSIS / f"{name}.py"
        assert (
            f"rvsweep.cli.{name}.main" in imported(path) and len(path.read_text("utf-8").splitlines()) <= 10
        )
    assert not [path for path in ANALYSIS.rglob("*.py") if "sys.path" in path.read_text("utf-8")]


@pytest.mark.parametrize("name", ["report", "compare", "export", "blind", "bank", "localize"])
def test_files_run_as_scripts_from_anywhere(name, tmp_path):
    done = run_script(name, "--help", cwd=tmp_path)
    assert done.returncode == 0 and f"usage: {name}.py" in done.stdout


def test_setup_makes_its_venv_find_the_checkout_it_lies_in(tmp_path):
    """Also after the checkout has been moved, and of two checkouts that share a .venv each its own."""
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "analysis" / "rvsweep").mkdir(parents=True)
    (first / "analysis" / "rvsweep" / "__init__.py").write_text("")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", first / ".venv"], check=True)
    setup = (ROOT / "jobs" / "setup.sh").read_text("utf-8")
    link = re.search(r"^link_package\(\) \{.*?^\}", setup, re.DOTALL | re.MULTILINE)[0]
    for _ in range(2):
        subprocess.run(["bash", "-euc", f"{link}\nlink_package .venv"], cwd=first, check=True)
    assert found_by(first, tmp_path) == first
    first.rename(second)
    assert found_by(second, tmp_path) == second
    (first / "analysis" / "rvsweep").mkdir(parents=True)
    (first / "analysis" / "rvsweep" / "__init__.py").write_text("")
    (first / ".venv").symlink_to(second / ".venv")
    assert found_by(first, tmp_path) == first


def found_by(checkout: Path, folder: Path) -> Path:
    """The checkout whose `rvsweep` the Python of `checkout` imports in `folder`."""
    command = [checkout / ".venv" / "bin" / "python", "-c", "import rvsweep; print(rvsweep.__file__)"]
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).parents[2]


def test_a_folder_named_analysis_shadows_nothing(tmp_path):
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "__init__.py").write_text("raise SystemExit('shadowed')")
    done = run_script("report", "--help", cwd=tmp_path)
    assert done.returncode == 0
    code = "import rvsweep, rvsweep.cli.main; print(rvsweep.__file__)"
    options = {"cwd": tmp_path, "env": {"PYTHONPATH": str(ANALYSIS)}, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", code], **options)
    assert done.stdout.strip() == str(PACKAGE / "__init__.py"), done.stderr


def test_the_version_is_that_of_the_program():
    built = re.search(r"project\(rvsweep VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text("utf-8"))[1]
    cited = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)[1]
    assert rvsweep.__version__ == built == cited


def test_pip_installs_the_package_alone_and_touches_no_build_folder(tmp_path):
    folder = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ANALYSIS, folder / "analysis", ignore=ignored)
    for name in ("pyproject.toml", "LICENSE", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    (folder / "build").mkdir()
    before = sorted(folder.rglob("*"))
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--no-compile"]
    command = [sys.executable, "-m", "pip", "install", "-q", *options, "--target", tmp_path / "site", folder]
    subprocess.run(command, check=True)
    assert sorted(folder.rglob("*")) == before
    site = tmp_path / "site"
    assert {path.name for path in site.iterdir()} == {
        "bin",
        "rvsweep",
        f"rvsweep-{rvsweep.__version__}.dist-info",
    }
    assert files_below(site / "rvsweep") == files_below(folder / "analysis" / "rvsweep")


def files_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}
