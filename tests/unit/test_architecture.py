"""The rules of the house that no linter knows (docs/architecture.md, "Limits")."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("geo_assets", "geo_resources", "sensors", "geo_cli")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
SCRIPTS = sorted(
    path for name in ("samples", "bench") for path in (ROOT / name).glob("*.py")
)

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50  # of the body, docstring not counted
MAX_ASSET_LINES = 25
BANNED_NAMES = {
    "utils",
    "helpers",
    "common",
    "base",
    "manager",
    "service",
    "handler",
    "core",
    "misc",
}
MAY_HOLD_MORE = {"geo_assets/__init__.py"}  # lazy exports of the component types
READS_THE_ENVIRONMENT = {"geo_resources/settings.py"}
BOUNDARIES = {  # of geo_assets/<kind>/: where stages meet Dagster and the services
    "assets",
    "bureau",
    "checks",
    "desk",
    "giant_desk",
    "load",
    "products",
    "queries",
    "recipes",
    "recheck",
    "report",
    "specs",
    "tile_assets",
    "tile_desk",
    "tile_windows",
    "verdict",
}
IMPURE = ("dagster", "azure", "sqlalchemy", "geo_resources", "sensors", "geo_cli")
HEAVY = (
    *("rasterio", "geopandas", "pypgstac", "imagecodecs", "pyarrow", "obstore"),
    *("numba", "h3", "shapely"),
)
PURE_MODULES = (
    *(
        "errors",
        "naming",
        "contract",
        "contract_quality",
        "contract_stac",
        "grid_contract",
    ),
    *("contract", "contract_quality", "contract_stac"),
)

each_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda p: p.relative_to(ROOT).as_posix()
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def is_asset(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = ("asset", "multi_asset", "graph_asset", "op", "asset_check", "sensor")
    decorators = [ast.unparse(d).split("(")[0] for d in function.decorator_list]
    return any(d.split(".")[-1] in names for d in decorators)


def imports_of(path: Path) -> set[str]:
    """Names of the modules that a file imports anywhere."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def stage_modules() -> list[Path]:
    """The pure modules: names and contracts, and every stage of a kind of data."""
    stages = [
        path
        for path in (ROOT / "geo_assets").glob("*/*.py")
        if path.stem not in BOUNDARIES | {"__init__"}
        and path.parent.name not in {"defs", "catalog", "bronze"}
    ]
    return sorted([ROOT / f"geo_assets/{name}.py" for name in PURE_MODULES] + stages)


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 10
    assert len(stage_modules()) > len(PURE_MODULES)


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=name_of)
def test_a_module_fits_in_400_lines(path):
    assert path.read_text(encoding="utf-8").count("\n") <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=name_of)
def test_a_function_fits_in_50_lines(path):
    long = {f.name: body_lines(f) for f in functions_of(path)}
    assert {n: k for n, k in long.items() if k > MAX_FUNCTION_LINES} == {}


@each_module
def test_an_asset_body_fits_in_25_lines(path):
    bodies = {f.name: body_lines(f) for f in functions_of(path) if is_asset(f)}
    assert {n: k for n, k in bodies.items() if k > MAX_ASSET_LINES} == {}


@each_module
def test_no_module_has_a_name_that_says_nothing(path):
    words = {path.stem, *path.stem.split("_"), *path.relative_to(ROOT).parts[:-1]}
    assert not words & BANNED_NAMES


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name == "__init__.py"], ids=name_of
)
def test_a_package_file_holds_a_docstring_and_nothing_else(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    if name_of(path) not in MAY_HOLD_MORE:
        assert len(tree.body) == 1


@each_module
def test_only_the_settings_read_the_environment(path):
    """`os.cpu_count` and the like are free; the environment has one reader."""
    reads = {
        ast.unparse(node)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    named = {i for i in imports_of(path) if i in {"os.environ", "os.getenv"}}
    assert name_of(path) in READS_THE_ENVIRONMENT or not reads | named


@each_module
def test_no_module_delays_its_annotations_or_pickles(path):
    assert not imports_of(path) & {"__future__.annotations", "pickle"}


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    """Whether it takes any error and does not raise it again; tidying up is allowed."""
    names = {"Exception", "BaseException"}
    broad = handler.type is None or ast.unparse(handler.type) in names
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


@each_module
def test_nothing_catches_every_exception(path):
    handlers = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.ExceptHandler)]
    assert [h.lineno for h in handlers if swallows_everything(h)] == []


@pytest.mark.parametrize("path", stage_modules(), ids=name_of)
def test_a_pure_module_knows_neither_dagster_nor_the_cloud(path):
    impure = {i for i in imports_of(path) if i.split(".")[0] in IMPURE}
    assert impure == set()


@pytest.mark.parametrize(
    "path", [p for p in MODULES if "geo_resources" in p.parts], ids=name_of
)
def test_a_resource_imports_nothing_of_ours(path):
    foreign = set(PACKAGES) - {"geo_resources"}
    assert {i for i in imports_of(path) if i.split(".")[0] in foreign} == set()


def loaded_by(module: str) -> set[str]:
    """Top-level packages in `sys.modules` after a fresh process imported `module`."""
    code = f"import {module}, sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_code_location_imports_no_heavy_library():
    loaded = loaded_by("geo_assets.definitions")
    assert "dagster" in loaded
    assert loaded & set(HEAVY) == set()


def test_the_settings_import_no_dagster():
    loaded = loaded_by("geo_resources.settings")
    assert "pydantic" in loaded
    assert loaded & {"dagster", *HEAVY} == set()
