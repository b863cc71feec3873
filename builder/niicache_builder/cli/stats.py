"""``niicache stats CACHE``."""

from __future__ import annotations

import json

import click

from niicache_builder.cli.exits import DONE, HELP, guarded


@click.command("stats", epilog=HELP)
@click.argument("cache")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def stats_command(*, cache: str, as_json: bool) -> None:
    """Show what is in CACHE, class by class."""

    def action() -> int:
        from niicache_builder import stats
        from niicache_builder.report.statistics import stats_text

        found = stats(cache)
        # At once, as every command says it: to `head` it then makes no difference which it is.
        click.echo(json.dumps(found.to_json(), indent=1) if as_json else stats_text(found))
        return DONE

    guarded(action, as_json=as_json)
