"""The house rules: who may import whom, where key names stand, and that every module has its caption."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "common": set[str](),
    "producer": {"common"},
    "workers": {"common"},
    "consumer": {"common"},
    "compose": {"common", "producer", "workers", "consumer"},
}
MODULES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_modules(path: Path, source: str) -> Iterator[str]:
    """Yield the full name of all that a module imports: at its top, inside functions, for type checking only."""
    package = ["saystream", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def forbidden_imports(path: Path, source: str) -> list[str]:
    room = path.relative_to(ROOT).parts[0]
    allowed = MAY_IMPORT[room] | {room}
    return [
        module
        for module in imported_modules(path, source)
        if module.startswith("saystream.") and module.split(".")[1] not in allowed
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    assert forbidden_imports(path, path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import saystream.compose.cli",
        "from saystream import compose",
        "from saystream.compose.cli import main",
        "from ..compose import cli",
        "def late():\n    from saystream.compose import cli",
        "if TYPE_CHECKING:\n    import saystream.compose as c",
    ],
)
def test_no_spelling_of_an_import_escapes_the_rule(source: str) -> None:
    assert forbidden_imports(ROOT / "workers" / "pool.py", source) != []


def test_key_names_stand_in_one_file() -> None:
    # Lua scripts get their keys as arguments; what their comments say of them is their contract.
    spelling = [name_of(path) for path in MODULES if "saystream:{" in path.read_text()]
    assert set(spelling) <= {"common/keys.py"}


@pytest.mark.parametrize("path", MODULES + TESTS, ids=name_of)
def test_every_module_opens_with_its_caption(path: Path) -> None:
    source = path.read_text()
    if path.name == "__init__.py" and not source:
        return
    assert ast.get_docstring(ast.parse(source)), "the first statement is no docstring"
