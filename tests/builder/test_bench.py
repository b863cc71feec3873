"""What ``niicache bench`` says: figures that fit together, and advice that follows from them."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from niicache import open_cache
from niicache.errors import NotACacheError, OptionError
from niicache.mixing import sampler_score
from niicache_builder.bench import advise, bench
from niicache_builder.cli.main import main
from niicache_builder.measure import (
    Rate,
    Stage,
    decoded_bytes,
    make_sampler,
    memory_for_windows,
    time_stages,
)


@pytest.mark.parametrize("kind", ["vector", "mask", "folder", "volume"])
def test_every_kind_of_cache_is_measured(kind, request):
    path = request.getfixturevalue(f"{kind}_cache")
    found = bench(path, batch_size=4, seconds=0.01)
    assert found.decoded_bytes == decoded_bytes(open_cache(path))
    assert [one.name.split()[0] for one in found.stages] == [
        *("draw", "read", "prove", "decode", "gather"),
    ]
    assert all(one.microseconds >= 0 for one in found.stages)
    assert {rate.mix for rate in found.rates} == {1, 4, 16, "all"}
    assert all(rate.samples > 0 and 0 < rate.mixing <= 1 for rate in found.rates)
    assert found.rates[-1].memory == found.decoded_bytes
    assert found.copied > 0
    assert found.to_json()["schema"] == "niicache.bench/1"


def rate(samples, *, workers=1, mix=4, mixing=0.5, memory=10):
    return Rate(workers=workers, mix=mix, mixing=mixing, memory=memory, samples=samples)


STAGES = (Stage(name="draw cases", microseconds=1), Stage(name="read files", microseconds=3))


def test_advice_is_the_fastest_setting():
    files = (rate(100), rate(180, workers=2), rate(90, mix="all", mixing=1))
    hot = (rate(300, memory=77), rate(270, workers=2, memory=77))
    said = advise(decoded=77, files=files, hot=hot, stages=STAGES)
    assert said[0] == "workers=2: 180 samples a second from files"
    assert said[1].startswith("memory=77: ")
    assert "300 samples a second, 1.7 times" in said[1]
    assert said[2] == "the longest stage is to read files: 75%"


def test_what_a_window_keeps_whole_is_not_said_to_come_from_files():
    files = (rate(100, memory=77), rate(180, workers=2, memory=77))
    hot = (rate(234, memory=77),)  # the same once more, and noise
    said = advise(decoded=77, files=files, hot=hot, stages=STAGES)
    assert said[:2] == (
        "workers=2: 180 samples a second from memory, as a window holds all",
        "memory=77: holds every decoded chunk",
    )


def test_a_window_of_a_volume_has_all_of_its_blocks(volume_cache):
    cache = open_cache(volume_cache)
    layout = cache["healthy"].image.layout
    assert (layout.chunk[0], layout.blocks > 1) == (1, True)
    assert max(len(view) for view in cache) == 3  # mix 1, and two more for the edges
    assert memory_for_windows(cache, 1) == decoded_bytes(cache)


def test_better_mixing_is_advised_where_it_costs_little():
    files = (rate(100), rate(85, mix=16, mixing=0.9), rate(81, mix="all", mixing=1))
    said = advise(decoded=77, files=files, hot=(), stages=STAGES)
    assert said[1] == "mix='all': mixing 1.00 instead of 0.50 at 81% of the speed"
    assert not any("memory" in one for one in said)


def test_a_window_is_no_more_than_there_is(vector_cache):
    cache = open_cache(vector_cache)
    assert (
        memory_for_windows(cache, 1)
        < memory_for_windows(cache, 4)
        <= memory_for_windows(cache, 1000)
    )
    assert memory_for_windows(cache, 1000) == decoded_bytes(cache)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_no_time_is_refused(vector_cache, seconds):
    with pytest.raises(OptionError, match="seconds: got"):
        bench(vector_cache, seconds=seconds)


@pytest.mark.parametrize("kind", ["vector", "mask", "folder", "volume"])
def test_images_and_masks_are_timed(kind, request, monkeypatch):
    cache = open_cache(request.getfixturevalue(f"{kind}_cache"))
    sampler, read = make_sampler(cache, 8, 4), set()

    def noted(fd, nbytes, at):
        read.add((os.fstat(fd).st_ino, at))
        return os.pread(fd, nbytes, at)

    masks = kind in {"mask", "volume"}
    draw = sampler.draw(0, 0)
    views = list(cache)
    needed = set()
    for k, row in zip(draw.classes.tolist(), draw.rows.tolist(), strict=True):
        for one in (views[k].image, *([views[k].label] if masks else [])):
            first = row // one.layout.chunk[0] * one.layout.blocks
            for number in range(first, first + one.layout.blocks):
                file, at, _ = one.locate(number)
                needed.add((os.fstat(file.fd).st_ino, at))
    monkeypatch.setattr("niicache_builder.measure.os", SimpleNamespace(pread=noted))
    time_stages(cache, sampler, 0.001)
    assert read == needed


def test_all_that_is_wrong_is_said_at_once(vector_cache):
    with pytest.raises(OptionError, match=r"batch_size: got -3.*\nseconds: got -1"):
        bench(vector_cache, batch_size=-3, seconds=-1)


def test_the_command_prints_a_table_or_json(vector_cache):
    words = ["bench", str(vector_cache), "--batch-size", "8", "--seconds", "0.01"]
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 0
    assert "decode chunks" in said.stdout
    assert "- workers=" in said.stdout
    mixing = float(said.stdout.split("samples/s")[1].splitlines()[1].split()[2])
    assert mixing == round(sampler_score(make_sampler(open_cache(vector_cache), 8, 4)), 2)
    said = CliRunner().invoke(main, [*words, "--json"])
    assert json.loads(said.stdout)["batch_size"] == 8


def test_the_command_refuses_what_is_no_cache(tmp_path):
    said = CliRunner().invoke(main, ["bench", str(tmp_path)])
    assert said.exit_code == 1
    assert "not-a-cache" in said.stderr
    with pytest.raises(NotACacheError):
        bench(tmp_path)
