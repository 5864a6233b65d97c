"""geo_cli.live: lines as a terminal shows them."""

from rich.console import Console

from geo_cli.live import Line, as_table


def test_a_name_is_shown_as_it_is():
    """Brackets are markup to rich: `[/b]` ended the command, `[red]` was lost."""
    names = ["a[/b].tif", "a[red].tif", "\\[b].tif", ":smile:.tif"]
    console = Console(width=80)
    with console.capture() as shown:
        console.print(as_table([Line("giant", name, "1/4 tiles") for name in names]))
    rows = [line.split() for line in shown.get().splitlines() if "giant" in line]
    assert rows == [["giant", name, "1/4", "tiles"] for name in names]
