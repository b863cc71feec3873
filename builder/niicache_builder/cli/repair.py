"""``niicache repair CACHE``."""

from __future__ import annotations

import json

import click

from niicache_builder.cli.exits import DAMAGED, DONE, HELP, SKIPPED, guarded
from niicache_builder.cli.progress import watch
from niicache_builder.interrupts import sigterm_as_ctrl_c


@click.command("repair", epilog=HELP)
@click.argument("cache")
@click.option(
    "--source", help="SOURCE of the build. Not needed where only files without voxels are damaged."
)
@click.option(
    "--quarantine", is_flag=True, help="Leave out cases whose sources are gone or have changed."
)
@click.option("--remove-unexpected", is_flag=True, help="Delete what does not belong in a cache.")
@click.option("--workers", type=int, help="Processes; 0 for none. [one a CPU]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def repair_command(
    *,
    cache: str,
    source: str | None,
    quarantine: bool,
    remove_unexpected: bool,
    workers: int | None,
    as_json: bool,
) -> None:
    """Write again what is damaged of CACHE, from its sources, and nothing else.

    All or nothing: where a source is gone or has changed, nothing is changed without --quarantine.
    """

    def action() -> int:
        from niicache_builder import repair
        from niicache_builder.report.repaired import repaired_json, repaired_text

        done = repair(
            cache,
            source,
            quarantine=quarantine,
            remove_unexpected=remove_unexpected,
            workers=workers,
            progress=watch(),
        )
        text = repaired_text(done, cache)
        click.echo(json.dumps(repaired_json(done, cache), indent=1) if as_json else text)
        if done.left:
            return DAMAGED
        return SKIPPED if done.quarantined else DONE

    with sigterm_as_ctrl_c() as sigterm:
        guarded(action, as_json=as_json, sigterm=sigterm)
