"""The wheel holds what the tree holds: nothing forgotten in the list of packages or of data files."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("common", "producer", "workers", "consumer", "compose")
SHIPPED_SUFFIXES = {".py", ".lua", ".html", ".js", ".css"}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def shipped_files() -> Iterator[str]:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.suffix in SHIPPED_SUFFIXES or path.name == "py.typed":
                yield path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """A wheel built from a copy of the tree, so that no build leaves anything in it."""
    copy = tmp_path_factory.mktemp("tree") / "saystream"
    shutil.copytree(ROOT, copy, ignore=lambda folder, names: [n for n in names if Path(folder) == ROOT and not kept(n)])
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(copy)]
    if can_build_here():
        command.append("--no-build-isolation")
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(target.glob("saystream-*.whl"))) as opened:
        yield opened


def kept(name: str) -> bool:
    return name in (*ROOMS, "pyproject.toml", "README.md", "LICENSE")


def can_build_here() -> bool:
    """Say whether setuptools is new enough, as it is in the `test` extra; pip fetches one otherwise."""
    return importlib.util.find_spec("setuptools") is not None and int(version("setuptools").split(".")[0]) >= 77


def test_the_list_of_packages_is_the_tree() -> None:
    tree = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(".".join(("saystream", *folder.parts)) for folder in tree)


def test_no_folder_with_python_lacks_its_init() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_room_is_typed() -> None:
    assert [room for room in ROOMS if not (ROOT / room / "py.typed").exists()] == []


def test_the_wheel_holds_every_module_script_and_page(wheel: zipfile.ZipFile) -> None:
    expected = {f"saystream/{name}" for name in shipped_files()}
    assert expected - set(wheel.namelist()) == set()


def test_the_wheel_brings_no_name_but_ours(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"saystream", f"saystream-{PYPROJECT['project']['version']}.dist-info"}


def test_the_wheel_carries_the_licence(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/LICENSE"))
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in wheel.read(name)
