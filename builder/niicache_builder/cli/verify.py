"""``niicache verify CACHE``."""

from __future__ import annotations

import json

import click

from niicache.inert import inert_lines
from niicache_builder.cli.exits import DAMAGED, DONE, HELP, guarded
from niicache_builder.cli.progress import watch
from niicache_builder.cli.types import subset


@click.command("verify", epilog=HELP)
@click.argument("cache")
@click.option("--quick", is_flag=True, help="Structure, presence and sizes; leave voxels unread.")
@click.option(
    "--subset",
    callback=subset,
    metavar="K/N",
    help="Read the voxels of the K-th of N parts: N runs read them all. The rest as with --quick.",
)
@click.option("--source", help="SOURCE of the build: also say which cases have other sources now.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify_command(
    *, cache: str, quick: bool, subset: tuple[int, int], source: str | None, as_json: bool
) -> None:
    """Check every byte of CACHE and name what is damaged and how, to the case.

    Exit code 4 also says that sources differ, where --source asks for it.
    """

    def action() -> int:
        from niicache_builder import verify
        from niicache_builder.report.verification import verification_json, verification_text

        found = verify(cache, quick=quick, subset=subset, source=source, progress=watch())
        text = inert_lines(verification_text(found, cache))
        click.echo(json.dumps(verification_json(found, cache), indent=1) if as_json else text)
        return DAMAGED if found.problems or found.stale else DONE

    guarded(action, as_json=as_json)
