"""A copy of the checkout with datasets of a script's own, and the script run in it.

Which datasets there are is said by files of the code location: Strata has no setting
for it. So whoever needs another one works in another checkout.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from geo_resources.settings import CHECKOUT

FOLDERS = ("bench", "geo_assets", "geo_cli", "geo_resources", "sensors")
FILES = ("dagster.yaml", "workspace.yaml", "pyproject.toml")
DATASETS = Path("geo_assets", "defs")


def work_with(datasets: Mapping[str, str]) -> None:
    """Return in a checkout with these datasets; out of any other, run there and exit.

    Args:
        datasets: text of `defs.yaml` by name.
    """
    if all((CHECKOUT / DATASETS / name).is_dir() for name in datasets):
        return
    with TemporaryDirectory(prefix="strata-checkout-") as name:
        copy = Path(name)
        for folder in FOLDERS:
            shutil.copytree(CHECKOUT / folder, copy / folder)
        for file in FILES:
            shutil.copy(CHECKOUT / file, copy / file)
        for dataset, text in datasets.items():
            target = copy / DATASETS / dataset / "defs.yaml"
            target.parent.mkdir()
            target.write_text(text, encoding="utf-8")
        script = copy / "bench" / Path(sys.argv[0]).name
        command = [sys.executable, str(script), *sys.argv[1:]]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        done = subprocess.run(command, env=environment, check=False)
    sys.exit(done.returncode)
