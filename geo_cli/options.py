"""Options that many commands have."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON.")]
Dataset = Annotated[
    str | None, typer.Option("--dataset", "-d", help="Only this dataset.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; else only say what would be.")]
