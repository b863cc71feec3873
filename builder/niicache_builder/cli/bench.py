"""``niicache bench CACHE``."""

from __future__ import annotations

import json

import click

from niicache_builder.cli.exits import DONE, HELP, guarded


@click.command("bench", epilog=HELP)
@click.argument("cache")
@click.option("--batch-size", type=int, default=32, show_default=True, help="Samples in a batch.")
@click.option("--seconds", type=float, default=1.0, show_default=True, help="For each figure.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def bench_command(*, cache: str, batch_size: int, seconds: float, as_json: bool) -> None:
    """Measure how fast CACHE reads on this machine, where the time goes, and what to set."""

    def action() -> int:
        from niicache_builder.bench import bench
        from niicache_builder.report.benched import bench_text

        found = bench(cache, batch_size=batch_size, seconds=seconds)
        click.echo(json.dumps(found.to_json(), indent=1) if as_json else bench_text(found))
        return DONE

    guarded(action, as_json=as_json)
