"""The group of commands, and the two names under which it is installed."""

from __future__ import annotations

import click

from niicache import __version__
from niicache_builder.cli.bench import bench_command
from niicache_builder.cli.build import build_command
from niicache_builder.cli.exits import HELP
from niicache_builder.cli.repair import repair_command
from niicache_builder.cli.restore import restore_command
from niicache_builder.cli.stats import stats_command
from niicache_builder.cli.verify import verify_command


@click.group(epilog=HELP)
@click.version_option(__version__, prog_name="niicache")
def main() -> None:
    """Turn folders of NIfTI files into a cache that trains as fast as memory."""


main.add_command(build_command)
main.add_command(verify_command)
main.add_command(repair_command)
main.add_command(stats_command)
main.add_command(bench_command)
main.add_command(restore_command)

build_cache = build_command
