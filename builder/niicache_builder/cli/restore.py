"""``niicache restore CACHE ARRAY IMAGE``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from niicache.errors import OptionError
from niicache_builder.cli.exits import DONE, HELP, guarded


@click.command("restore", epilog=HELP)
@click.argument("cache")
@click.argument("array")
@click.argument("image")
@click.option("--case", "case", required=True, metavar="CLASS/CASE", help="Whose grid it is on.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def restore_command(*, cache: str, array: str, image: str, case: str, as_json: bool) -> None:
    """Write ARRAY, a .npy on the padded grid of CACHE, as IMAGE on the grid of its source."""

    def action() -> int:
        from niicache.cache import open_cache
        from niicache_builder.restore import restore_file

        name, slash, which = case.partition("/")
        if not (name and slash and which):
            raise OptionError(f"--case: got {case!r}, expected CLASS/CASE, such as tumour/case_001")
        made = restore_file(open_cache(cache), (name, which), Path(array), Path(image))
        shape = tuple(map(int, made.shape))
        told = {"image": image, "shape": shape, "dtype": str(made.get_data_dtype())}
        click.echo(json.dumps(told) if as_json else f"{image}: {shape} {told['dtype']}")
        return DONE

    guarded(action, as_json=as_json)
