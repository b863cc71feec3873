"""Which cases of a cache a Sequence draws from: of a split, of folds, by what is known of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from niicache.errors import OptionError
from niicache.leaks import warn_of_leaks
from niicache.options import check_flag
from niicache.splits import fold_of, split_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from niicache.cache import Cache
    from niicache.format.manifest import SplitRule
    from niicache.sampling import ClassRows
    from niicache.splits import Member
    from niicache.view import ClassView

Condition: TypeAlias = Callable[[Any], bool] | list[Any] | set[Any] | object
Where: TypeAlias = Mapping[str, Condition]
"""Column to what is asked of it: a function of the value, a list or set of values, or one value.

Values of columns with several numbers a case are tuples.
"""

TRAIN, VAL = "train", "val"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which cases are meant. All that is given has to be met.

    Attributes:
        split: Name of a split of the cache; with ``fold`` "train" or "val".
        fold: (k, n): the k-th of n folds, from 0, is "val", and the others are "train".
        where: Column to what is asked of it.
    """

    split: str | None = None
    fold: tuple[int, int] | None = None
    where: Where | None = None

    def __str__(self) -> str:
        """Return what was given, as it was typed; where functions lie in memory is left out."""
        given = {"split": self.split, "fold": self.fold, "where": self.where}
        text = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
        return re.sub(r" at 0x[0-9a-fA-F]+", "", text)

    def keep(self, cache: Cache) -> tuple[np.ndarray, ...] | None:
        """Return which rows of the stored arrays are meant, (slots,) bool of each class.

        Args:
            cache: The open cache.

        Returns:
            None where nothing was asked for: every case.

        Raises:
            OptionError: What is asked for does not go with the cache.
            DamageError: Columns cannot be read.
        """
        if self.split is None and self.fold is None and self.where is None:
            return None
        rule = cache.manifest.split
        problems = [*_split_problems(self.split, self.fold, rule, str(cache.path))]
        problems += _where_problems(self.where, cache.columns)
        if problems:
            raise OptionError("\n".join(problems))
        met = [self._meeting(view) for view in cache]
        if self.fold is not None:
            seed = "" if rule is None else rule.seed
            warn_of_leaks(cache, seed, self.fold[1], met, lambda one: _in_pool(one, rule))
        return tuple(
            self._of_split(view, rows, rule) for view, rows in zip(cache, met, strict=True)
        )

    def _of_split(self, view: ClassView, kept: np.ndarray, rule: SplitRule | None) -> np.ndarray:
        """Return which of some rows of a class are of the split and the folds."""
        kept = kept.copy()
        if self.split is not None:
            members = view.members
            for row in np.flatnonzero(kept).tolist():
                member = members[row]
                if self.fold is None:
                    kept[row] = rule is not None and split_of(rule, member) == self.split
                    continue
                k, count = self.fold
                left_out = fold_of("" if rule is None else rule.seed, count, member) == k
                kept[row] = _in_pool(member, rule) and left_out == (self.split == VAL)
        return kept

    def _meeting(self, view: ClassView) -> np.ndarray:
        """Return which rows of a class hold a case of which ``where`` is true."""
        kept = np.zeros(len(view.stored_column("image_size")), np.bool_)
        kept[view.occupied] = True
        names = view.slot_names
        for name, condition in (self.where or {}).items():
            column = view.stored_column(name)
            asked, values = _asked(condition, column.ndim - 1), column.tolist()
            for row in np.flatnonzero(kept).tolist():
                kept[row] = _meets(_frozen(values[row]), asked, name, names[row])
        return kept

    def describe(self, classes: Sequence[ClassRows]) -> dict[str, Any]:
        """Return in JSON's types what is selected, for :func:`niicache.identity.describe`.

        Args:
            classes: What came of it. Of a function in ``where`` this says more than its name.
        """
        if not str(self):
            return {}
        rows = [[one.name.encode(), one.rows.astype("<i8").tobytes()] for one in classes]
        digest = hashlib.sha256(b"".join(part for row in rows for part in row)).hexdigest()
        return {"selected": str(self), "selected cases": digest}

    def check_filled(
        self, classes: Sequence[ClassRows], weights: Sequence[float] | None = None
    ) -> None:
        """Refuse to draw from nothing.

        Args:
            classes: What came of it.
            weights: Of the classes; those of weight 0 may be empty. None where every one may, if
                some case is left.

        Raises:
            OptionError: A class is empty; the message names each.
        """
        empty = [one.name for one in classes if not len(one.rows)]
        if weights is None:
            if len(empty) == len(classes):
                raise OptionError(f"{self}: got no case at all, expected some; ask for less")
            return
        pairs = zip(classes, weights, strict=False)
        lacking = [one.name for one, weight in pairs if weight and one.name in empty]
        if lacking and str(self):
            raise OptionError(
                f"{self}: got no case of class {', '.join(map(repr, lacking))}, expected one of "
                "each; ask for less, or leave the class out with weight 0"
            )


def _in_pool(member: Member, rule: SplitRule | None) -> bool:
    """Tell whether folds are made of a case: those of other splits are left out."""
    return rule is None or split_of(rule, member) in {TRAIN, VAL}


def _split_problems(split: object, fold: object, rule: SplitRule | None, path: str) -> list[str]:
    names = [] if rule is None else [name for name, _ in rule.shares]
    if fold is None:
        if split is None or split in names:
            return []
        if rule is None:
            return [
                (
                    f"split: got {split!r}, and {path} is not split; build it again with --split "
                    "train=0.8,val=0.2 (no voxel is read again), or give fold=(0, 5) too"
                )
            ]
        return [f"split: got {split!r}, expected one of {', '.join(map(repr, names))}"]
    problems = []
    pair = tuple(fold) if isinstance(fold, tuple | list) else ()
    whole = [isinstance(n, int | np.integer) and not isinstance(n, bool) for n in pair]
    if whole != [True, True] or pair[1] <= 1 or not 0 <= pair[0] < pair[1]:
        problems.append(
            f"fold: got {fold!r}, expected (k, n), the number of a fold from 0 and how many there "
            "are, such as (0, 5)"
        )
    if split not in {TRAIN, VAL}:
        problems.append(
            f"split: got {split!r} beside fold, expected 'train' or 'val': all folds but one, or "
            "that one"
        )
    if rule is not None and not {TRAIN, VAL} & set(names):
        problems.append(
            f"fold: got {fold!r} for splits {', '.join(map(repr, names))}, expected one named "
            "'train' or 'val', of which folds are made"
        )
    return problems


def _where_problems(where: object, columns: tuple[str, ...]) -> list[str]:
    if where is None:
        return []
    if not isinstance(where, Mapping):
        return [
            (
                f"where: got {where!r}, expected columns to what is asked of them, such as "
                "{'group': ['a', 'b'], 'spacing': lambda mm: max(mm) < 2}"
            )
        ]
    return [
        f"where: got column {name!r}, expected some of {', '.join(columns)}"
        for name in where
        if name not in columns
    ]


def _asked(condition: Any, dims: int) -> Any:
    """Return a condition with what numpy and tuples mean by it.

    Args:
        condition: As given.
        dims: Of a value of the column; 0 where it is no tuple, so that a tuple lists several.
    """
    if isinstance(condition, np.ndarray):
        one = condition.ndim == dims
        condition = condition.tolist()
        return _frozen(condition) if one else [_frozen(value) for value in condition]
    if isinstance(condition, list) or (dims == 0 and isinstance(condition, tuple)):
        return [_frozen(value) for value in condition]
    return condition


def _meets(value: object, condition: Condition, name: str, case: str) -> bool:
    """Say whether a value of a column is what is asked for."""
    if callable(condition):
        try:
            answer = condition(value)
            check_flag(f"where[{name!r}](...)", answer)
        except Exception as error:
            error.add_note(f"niicache: in where[{name!r}], on {value!r} of case {case!r}")
            raise
        return bool(answer)
    if isinstance(condition, list | set | frozenset):
        return value in condition
    return value == condition


def _frozen(value: object) -> object:
    """Return a row of a column as a plain value, or as tuples of them."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
