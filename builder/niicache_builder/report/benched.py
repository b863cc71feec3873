"""What a bench measured, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.report.units import in_bytes

if TYPE_CHECKING:
    from niicache_builder.bench import Bench


def bench_text(found: Bench) -> str:
    """Return the result as lines."""
    total = sum(stage.microseconds for stage in found.stages)
    whole = in_bytes(found.decoded_bytes)
    lines = [
        f"{found.path}: batches of {found.batch_size}, float32; {whole} when decoded",
        "",
        f"{'one batch, one thread, every chunk decoded':44}{'microseconds':>14}{'share':>8}",
        *(
            f"  {stage.name:42}{stage.microseconds:14,.0f}{stage.microseconds / total:8.0%}"
            for stage in found.stages
        ),
        "",
        f"{'workers':>7}{'mix':>6}{'mixing':>8}{'memory':>12}{'samples/s':>13}{'of a copy':>11}",
        *(
            f"{rate.workers:7}{rate.mix:>6}{rate.mixing:8.2f}{in_bytes(rate.memory):>12}"
            f"{rate.samples:13,.0f}{rate.samples / found.copied:11.0%}"
            for rate in found.rates
        ),
        f"{'a copy in memory, by numpy':33}{found.copied:13,.0f}{1:11.0%}",
        "",
        *(f"- {one}" for one in found.advice),
    ]
    return "\n".join(lines)
