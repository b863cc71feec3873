"""``niicache build SOURCE CACHE``."""

from __future__ import annotations

import json
from typing import get_args

import click

from niicache.format.names import PadMode
from niicache.inert import inert_lines
from niicache_builder.choices import (
    DTYPES,
    CodecName,
    Crop,
    Interpolation,
    Labels,
    OnDuplicates,
    OnError,
)
from niicache_builder.cli.exits import DONE, HELP, SKIPPED, guarded
from niicache_builder.cli.progress import watch
from niicache_builder.cli.types import lengths, shares, sizes
from niicache_builder.interrupts import sigterm_as_ctrl_c
from niicache_builder.workers import ready_workers


@click.command("build", epilog=HELP)
@click.argument("source")
@click.argument("cache")
@click.option("--shape", callback=sizes, help="Padded spatial shape, such as 64,64. [largest case]")
@click.option("--spatial-dims", type=int, help="2 or 3. [guessed from the shapes]")
@click.option(
    "--dtype",
    type=click.Choice(("auto", *DTYPES)),
    default="auto",
    show_default=True,
    help="Voxel type of the images.",
)
@click.option(
    "--codec",
    type=click.Choice(get_args(CodecName)),
    default="balanced",
    show_default=True,
    help="Compression: fast to build, balanced by the size of a case, small on disk, or none.",
)
@click.option("--chunk", callback=sizes, help="Cases in a chunk, or 1 and its block. [planned]")
@click.option("--patch", callback=sizes, help="Patches that will be read, such as 128,128,128.")
@click.option("--orient", help="Turn axes, such as RAS: to the right, the front, the top.")
@click.option("--spacing", callback=lengths, help="Resample to mm, such as 1,1,1. [as they are]")
@click.option(
    "--interpolation",
    type=click.Choice(get_args(Interpolation)),
    default="linear",
    show_default=True,
    help="Of images; masks take the nearest voxel.",
)
@click.option("--crop", type=click.Choice(get_args(Crop)), help="Keep the box that is not 0.")
@click.option(
    "--labels",
    type=click.Choice(get_args(Labels)),
    default="auto",
    show_default=True,
    help="What the labels are.",
)
@click.option("--pad-value", type=float, default=0, show_default=True, help="Around images.")
@click.option(
    "--pad-mode",
    type=click.Choice(get_args(PadMode)),
    default="constant",
    show_default=True,
    help="As in numpy.pad.",
)
@click.option("--split", callback=shares, help="Such as train=0.8,val=0.1,test=0.1. [none]")
@click.option("--split-seed", default="", help="Another one splits in another way.")
@click.option("--group-by", help=r"What in an image's path stays together, such as 'sub-(\w+)'.")
@click.option(
    "--on-duplicates",
    type=click.Choice(get_args(OnDuplicates)),
    default="stop",
    show_default=True,
    help="Of one image in two splits or classes.",
)
@click.option("--workers", type=int, help="Processes; 0 for none. [one a CPU]")
@click.option(
    "--on-error",
    type=click.Choice(get_args(OnError)),
    default="stop",
    show_default=True,
    help="Write nothing if a case has problems, or skip such cases.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def build_command(
    *,
    source: str,
    cache: str,
    shape: tuple[int, ...] | None,
    spatial_dims: int | None,
    dtype: str,
    codec: CodecName,
    chunk: tuple[int, ...] | None,
    patch: tuple[int, ...] | None,
    orient: str | None,
    spacing: tuple[float, ...] | None,
    interpolation: Interpolation,
    crop: Crop | None,
    labels: Labels,
    pad_value: float,
    pad_mode: PadMode,
    split: dict[str, float] | None,
    split_seed: str,
    group_by: str | None,
    on_duplicates: OnDuplicates,
    workers: int | None,
    on_error: OnError,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Turn SOURCE into the cache CACHE.

    SOURCE is a folder of class folders; or one with nnU-Net's or the Decathlon's dataset.json, or
    with imagesTr and labelsTr (images and labels) alone, which is one class; or a CSV file
    class,image,label. Files case_0000, case_0001, ... of one label are the channels of a case, and
    so are columns image_<name>.

    Run it again after files changed, or after an interruption: it does only what is missing.
    """

    def action() -> int:
        if workers != 0 and not dry_run:
            ready_workers()  # loads beside what this process loads now
        from niicache_builder import BuildOptions, build, plan_build
        from niicache_builder.report.built import built_json, built_text
        from niicache_builder.report.plan import plan_json, plan_text

        options = BuildOptions(
            shape=shape,
            spatial_dims=spatial_dims,
            dtype=dtype,
            codec=codec,
            chunk=chunk,
            patch=patch,
            orient=orient,
            spacing=spacing,
            interpolation=interpolation,
            crop=crop,
            labels=labels,
            pad_value=pad_value,
            pad_mode=pad_mode,
            split=split,
            split_seed=split_seed,
            group_by=group_by,
            on_duplicates=on_duplicates,
            workers=workers,
            on_error=on_error,
        )
        progress = watch()
        if dry_run:
            plan = plan_build(source, cache, options, progress=progress)
            click.echo(
                json.dumps(plan_json(plan), indent=1) if as_json else inert_lines(plan_text(plan))
            )
            return SKIPPED if plan.skipped else DONE
        built = build(source, cache, options, progress=progress)
        click.echo(
            json.dumps(built_json(built, cache), indent=1)
            if as_json
            else inert_lines(built_text(built, cache))
        )
        return SKIPPED if built.manifest.skipped else DONE

    with sigterm_as_ctrl_c() as sigterm:
        guarded(action, as_json=as_json, sigterm=sigterm)
