"""``niicache verify CACHE``."""

from __future__ import annotations

import json

import click

from niicache_builder.cli.exits import DAMAGED, DONE, HELP, guarded
from niicache_builder.cli.progress import watch


@click.command("verify", epilog=HELP)
@click.argument("cache")
@click.option("--quick", is_flag=True, help="Structure, presence and sizes; leave voxels unread.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify_command(*, cache: str, quick: bool, as_json: bool) -> None:
    """Check every byte of CACHE and name what is damaged, to the case."""

    def action() -> int:
        from niicache_builder import verify
        from niicache_builder.report.verification import verification_json, verification_text

        found = verify(cache, quick=quick, progress=watch())
        text = verification_text(found, cache)
        click.echo(json.dumps(verification_json(found, cache), indent=1) if as_json else text)
        return DAMAGED if found.problems else DONE

    guarded(action, as_json=as_json)
