"""The documents say what the code says."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from geo_assets import errors
from geo_assets.contract import DatasetContract, RasterContract, VectorContract
from geo_assets.grid_contract import HexGridContract
from geo_assets.h3.verdict import CHECKS, EARTH_CHECKS, LAND_CHECKS
from geo_cli.main import app
from geo_resources.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
)
ADRS = sorted((ROOT / "docs/adr").glob("*.md"))
ADR_PARTS = ["Context", "Decision", "Alternatives", "Consequences", "Revisit when"]
NOT_COMMANDS = {"clean"}  # hidden: `make clean` calls it
KINDS = {
    "geo_assets.RasterDataset": RasterContract,
    "geo_assets.VectorDataset": VectorContract,
}

each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix()
)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows_of(text: str) -> Iterator[list[str]]:
    """Cells of every table row whose first cell is a name in backticks."""
    for line in text.splitlines():
        if re.match(r"\| `[^`]+` \|", line):
            yield [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def named(cell: str) -> str:
    return cell.strip().strip("`")


def codes_of_ours() -> dict[str, type[errors.SourceError]]:
    found, open_kinds = {}, [*errors.SourceError.__subclasses__()]
    while open_kinds:
        kind = open_kinds.pop()
        found[kind.code] = kind
        open_kinds += kind.__subclasses__()
    return found


def platform_codes() -> set[str]:
    """Codes that the platform writes into the ledger for faults of its own."""
    faults = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)*)"', text_of("geo_assets/faults.py")))
    sources = [p.read_text("utf-8") for p in (ROOT / "geo_resources").glob("*.py")]
    written = {c for s in sources for c in re.findall(r"code = '([A-Z_]+)'", s)}
    return faults | written - set(codes_of_ours())


def test_every_error_code_is_explained_with_its_own_remedy():
    rows = {named(row[0]): row for row in rows_of(text_of("docs/error-codes.md"))}
    remedies = {code: kind.suggested_action for code, kind in codes_of_ours().items()}
    # `\\<`: a bare `<source>` would be taken for HTML
    assert {code: rows[code][3].replace("\\<", "<") for code in remedies} == remedies


def test_no_error_code_is_explained_that_does_not_exist():
    documented = {named(row[0]) for row in rows_of(text_of("docs/error-codes.md"))}
    assert documented == set(codes_of_ours()) | platform_codes()


def test_codes_that_nothing_raises_are_said_to_be_so():
    sources = [
        path.read_text("utf-8")
        for package in ("geo_assets", "geo_resources", "sensors", "geo_cli")
        for path in (ROOT / package).rglob("*.py")
        if path != Path(errors.__file__)
    ]
    used = {
        code
        for code, kind in codes_of_ours().items()
        if any(re.search(rf"\b{kind.__name__}\b", source) for source in sources)
    }
    said = re.search(
        r"^Not raised in this release.*$", text_of("docs/error-codes.md"), re.MULTILINE
    )
    named = set(re.findall(r"`([A-Z_]+)`", said[0])) if said else set()
    assert named == set(codes_of_ours()) - used


def attributes_of(
    model: type[BaseModel], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Every attribute by its dotted path, with its default as the document has it."""
    for name, field in model.model_fields.items():
        part = part_of(field.annotation)
        yield f"{prefix}{name}", default_of(field.default, part)
        if part:
            yield from attributes_of(part, f"{prefix}{name}.")


def part_of(annotation: object) -> type[BaseModel] | None:
    options = [annotation, *get_args(annotation)]
    parts = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
    return parts[0] if parts else None


def default_of(default: object, part: type[BaseModel] | None) -> str:
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "none"
    if part:
        return "see below"
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def section_of(title: str) -> dict[str, list[str]]:
    """Rows of a section of the document on datasets, by their names."""
    parts = text_of("docs/datasets.md").split("\n## ")
    (section,) = [part for part in parts if part.startswith(f"{title}\n")]
    return {named(row[0]): row for row in rows_of(section)}


def attributes_in(kind: str) -> dict[str, list[str]]:
    """Rows on the attributes of a kind of dataset: those of every kind, and its own."""
    return section_of("Attributes of every dataset") | section_of(
        f"Attributes of `{kind}`"
    )


each_kind = pytest.mark.parametrize(("kind", "model"), KINDS.items())


@each_kind
def test_every_attribute_of_a_dataset_is_documented_with_its_default(kind, model):
    documented = {name: row[2] for name, row in attributes_in(kind).items()}
    assert documented == dict(attributes_of(model))


def test_what_is_said_of_every_dataset_is_so_for_every_kind():
    said = section_of("Attributes of every dataset")
    assert said.keys() == dict(attributes_of(DatasetContract)).keys()


def literals_of(annotation: object) -> set[str]:
    options = get_args(annotation)
    texts = {option for option in options if isinstance(option, str)}
    return texts.union(*(literals_of(o) for o in options if not isinstance(o, str)))


def choices_of(model: type[BaseModel], prefix: str = "") -> dict[str, set[str]]:
    """Words to choose from, by dotted attribute."""
    found = {}
    for name, field in model.model_fields.items():
        words = {c for c in literals_of(field.annotation) if re.fullmatch(r"\w+", c)}
        found[f"{prefix}{name}"] = words
        if part := part_of(field.annotation):
            found |= choices_of(part, f"{prefix}{name}.")
    return found


@each_kind
def test_every_choice_of_an_attribute_is_documented(kind, model):
    rows = attributes_in(kind)
    for name, choices in choices_of(model).items():
        assert choices <= set(re.findall(r"`(\w+)`", rows[name][1])), name


@pytest.mark.parametrize("name", ["README.md", "docs/datasets.md"])
def test_the_examples_are_valid_datasets(name):
    examples = re.findall(r"```yaml\n(.*?)```", text_of(name), flags=re.DOTALL)
    assert examples
    for example in examples:
        loaded = yaml.safe_load(example)
        contract = KINDS[loaded["type"]].model_validate(loaded["attributes"])
        assert contract.source.takes("bronze", f"{contract.name}/2020/a.tif")


def test_every_variable_is_documented_with_its_default():
    rows = {named(row[0]): row for row in rows_of(text_of("docs/operations.md"))}
    fields = [f for f in Settings.model_fields.values() if f.alias]
    documented = {name for name in rows if re.match(r"(STRATA|AZURE)_", name)}
    assert documented == {field.alias for field in fields}
    for field in fields:
        if isinstance(field.default, int | float):
            assert rows[field.alias][1] == f"`{field.default}`"


def known_commands() -> set[str]:
    single = {one.callback.__name__ for one in app.registered_commands if one.callback}
    return single | {str(one.name) for one in app.registered_groups}


@each_document
def test_every_command_that_is_named_exists(path):
    text = path.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))
    used = set(re.findall(r"(?:^|[\s`(/])strata ([a-z]+)\b", code, flags=re.MULTILINE))
    assert used <= known_commands()


def test_the_changelog_names_every_command():
    listed = set(re.findall(r"`(\w+)`", text_of("CHANGELOG.md")))
    assert known_commands() - NOT_COMMANDS <= listed


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), flags=re.MULTILINE))
    used = {
        target
        for path in DOCUMENTS
        for target in re.findall(
            r"(?:^|`)make ([a-z-]+)", path.read_text("utf-8"), flags=re.MULTILINE
        )
    }
    assert {"demo", "dev", "test"} <= used <= targets


@each_document
def test_every_link_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (path.parent / link).exists()] == []


@each_document
def test_every_path_of_ours_that_is_named_exists(path):
    """Paths in backticks that begin with a folder of the repository."""
    pattern = (
        r"`((?:geo_assets|geo_resources|sensors|geo_cli|tests|bench|docs)/[\w/.-]*)`"
    )
    paths = re.findall(pattern, path.read_text("utf-8"))
    assert [name for name in paths if not (ROOT / name).exists()] == []


def test_the_readme_fits_on_two_pages():
    assert text_of("README.md").count("\n") <= 120


@pytest.mark.parametrize("path", ADRS, ids=lambda p: p.stem)
def test_a_decision_has_all_its_parts_on_one_page(path):
    text = path.read_text(encoding="utf-8")
    parts = re.findall(r"^## (.*?)(?:, with numbers)?$", text, flags=re.MULTILINE)
    assert parts == ADR_PARTS
    assert text.startswith(f"# {path.stem[:4]}: ")
    assert "\nStatus: " in text
    assert text.count("\n") <= 60


def test_decisions_are_numbered_without_gaps():
    assert [p.stem[:4] for p in ADRS] == [f"{i:04}" for i in range(1, len(ADRS) + 1)]


@each_document
def test_every_decision_that_is_cited_exists(path):
    cited = set(re.findall(r"ADR (\d{4})", path.read_text("utf-8")))
    assert cited <= {p.stem[:4] for p in ADRS}


def test_the_changelog_has_the_version_that_is_shipped():
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert f"## [{version}] - " in text_of("CHANGELOG.md")


@each_document
def test_no_document_holds_emoji_or_marks_of_work_in_progress(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search("[\U0001f300-\U0001faff\u2600-\u26ff\u2705\u274c]", text)
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX)\b", text)


def grid_rows() -> dict[str, list[str]]:
    text = text_of("docs/grids.md").split("\n## ")
    (section,) = [one for one in text if one.startswith("Attributes of")]
    return {named(row[0]): row for row in rows_of(section)}


def test_every_attribute_of_a_grid_is_documented_with_its_default():
    documented = {name: row[2] for name, row in grid_rows().items()}
    assert documented == dict(attributes_of(HexGridContract))


def test_every_choice_of_a_grid_is_documented():
    rows = grid_rows()
    for name, choices in choices_of(HexGridContract).items():
        assert choices <= set(re.findall(r"`(\w+)`", rows[name][1])), name


def test_the_examples_of_grids_are_valid():
    examples = re.findall(r"```yaml\n(.*?)```", text_of("docs/grids.md"), re.DOTALL)
    assert examples
    for example in examples:
        loaded = yaml.safe_load(example)
        assert loaded["type"] == "geo_assets.HexGrid"
        HexGridContract.model_validate(loaded["attributes"])


def test_every_check_of_a_grid_is_documented():
    part = text_of("docs/grids.md").partition("\n## Checks")[2]
    documented = {named(row[0]) for row in rows_of(part)}
    assert documented == {*CHECKS, *EARTH_CHECKS, *LAND_CHECKS}
