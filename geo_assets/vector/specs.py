"""The assets of a vector dataset as Dagster shows them: keys, kinds, words."""

import dagster as dg

from geo_assets.contract import VectorContract
from geo_assets.lineage import profile_version
from geo_assets.specs import file_spec, item_choices, key_of

CODE_VERSION, ITEM_CODE = "1", "2"  # bumped when the output of a stage changes
CHOICES = {  # of the dataset, that decide what becomes of the rows of a file
    *("layer", "table", "mode", "where", "columns", "crs", "source_crs", "custom_crs"),
    *("encoding", "geometry", "csv", "dates_out_of_range", "sidecars"),
}


def file_specs(contract: VectorContract) -> list[dg.AssetSpec]:
    """The assets of one file, from validated to the STAC item, in their order."""
    choices = {"choices": contract.model_dump_json(include=CHOICES)}
    where = f"geo.{contract.table}" if contract.table else "a table of its own"
    validated = file_spec(
        contract,
        "validated",
        deps=[key_of(contract, "bronze")],
        words="What a file holds: format, layers, fields, CRS, encoding.",
        zone="bronze",
        kinds={"python", "bronze", "gdal"},
        code_version=CODE_VERSION,
    )
    table = file_spec(
        contract,
        "table",
        deps=[key_of(contract, "bronze"), validated.key],
        words=f"Its rows in PostGIS, in {where}, repaired and swapped in atomically.",
        zone="silver",
        kinds={"postgresql", "silver", "table"},
        code_version=profile_version(CODE_VERSION, choices),
    )
    item = file_spec(
        contract,
        "item",
        deps=[key_of(contract, "bronze"), table.key],
        words="STAC item in pgSTAC, read back after loading.",
        zone="silver",
        kinds={"postgresql", "silver", "stac"},
        code_version=profile_version(ITEM_CODE, item_choices(contract)),
    )
    return [validated, table, item]
