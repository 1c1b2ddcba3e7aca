"""The packages of analysis/: which imports which, how its scripts start, and where .venv finds it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import ROOT, run_script

ANALYSIS = ROOT / "analysis"
MAX_LINES = 400
USES = {  # package -> those that it may import
    "data": set(),
    "stats": {"data"},
    "figures": {"data", "stats"},
    "report": {"data", "stats", "figures"},
    "bank": {"data", "figures", "report"},
    "cli": {"data", "stats", "figures", "report", "bank"},
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
    folders = {path.parent.name for path in ANALYSIS.rglob("*.py")} - {"analysis"}
    assert folders == set(USES) and all((ANALYSIS / name / "__init__.py").is_file() for name in USES)


@pytest.mark.parametrize("package", USES)
def test_packages_import_in_one_direction(package):
    for path in (ANALYSIS / package).rglob("*.py"):
        for name in imported(path):
            assert not name.startswith("."), f"{path}: {name}: name the package"
            if name.startswith("analysis."):
                assert name.split(".")[1] in USES[package] | {package}, f"{path} imports {name}"


def test_files_are_small():
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in ANALYSIS.rglob("*.py")}
    assert len(lines) > 50 and {path for path, n in lines.items() if n > MAX_LINES} == set()


def test_scripts_import_the_package_and_touch_no_search_path():
    scripts = {path.stem for path in ANALYSIS.glob("*.py")} - {"__init__", "study"}
    assert scripts == {"report", "compare", "export", "blind", "bank", "chat_template"}
    for name in scripts:
        path = ANALYSIS / f"{name}.py"
        assert (
            f"analysis.cli.{name}.main" in imported(path) and len(path.read_text("utf-8").splitlines()) <= 10
        )
    assert not [path for path in ANALYSIS.rglob("*.py") if "sys.path" in path.read_text("utf-8")]


@pytest.mark.parametrize("name", ["report", "compare", "export", "blind", "bank"])
def test_files_run_as_scripts_from_anywhere(name, tmp_path):
    done = run_script(name, "--help", cwd=tmp_path)
    assert done.returncode == 0 and f"usage: {name}.py" in done.stdout


def test_setup_makes_its_venv_find_the_checkout_it_lies_in(tmp_path):
    """Also after the checkout has been moved, and of two checkouts that share a .venv each its own."""
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "analysis").mkdir(parents=True)
    (first / "analysis" / "__init__.py").write_text("")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", first / ".venv"], check=True)
    setup = (ROOT / "jobs" / "setup.sh").read_text("utf-8")
    link = re.search(r"^link_analysis\(\) \{.*?^\}", setup, re.DOTALL | re.MULTILINE)[0]
    for _ in range(2):
        subprocess.run(["bash", "-euc", f"{link}\nlink_analysis"], cwd=first, check=True)
    assert found_by(first, tmp_path) == first
    first.rename(second)
    assert found_by(second, tmp_path) == second
    (first / "analysis").mkdir(parents=True)
    (first / "analysis" / "__init__.py").write_text("")
    (first / ".venv").symlink_to(second / ".venv")
    assert found_by(first, tmp_path) == first


def found_by(checkout: Path, folder: Path) -> Path:
    """The checkout whose `analysis` the Python of `checkout` imports in `folder`."""
    command = [checkout / ".venv" / "bin" / "python", "-c", "import analysis; print(analysis.__file__)"]
    environment = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).parents[1]
