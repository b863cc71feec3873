"""Recognise how a source is laid out, from names alone; one module a layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from niicache_builder.sources import dataset_json, table
from niicache_builder.sources.case_checks import checked
from niicache_builder.sources.folders import NO_LAYOUT, read_folders, refuse

if TYPE_CHECKING:
    from pathlib import Path

    from niicache_builder.cases import Layout

__all__ = ["NO_LAYOUT", "find_cases"]


def find_cases(source: Path) -> Layout:
    """Recognise a source and list its cases; no file but a table or a ``dataset.json`` is opened.

    Args:
        source: A folder of class folders, one with a ``dataset.json``, one of images and labels
            without classes, or a CSV file ``class,image,label[,group]``.

    Returns:
        The layout with every complete case and every problem; nothing is raised. Its name is
        ``NO_LAYOUT`` where none was recognised. A class whose name cannot stand in a cache is a
        problem and in neither ``classes`` nor ``cases``.
    """
    return checked(_find(source))


def _find(source: Path) -> Layout:
    try:
        if source.is_dir():
            return dataset_json.read(source) or read_folders(source)
        if not source.exists():
            hint = "check the path"
            return refuse(source, "source-missing", "nothing there", "a folder or a CSV file", hint)
    except OSError as error:
        got = error.strerror or type(error).__name__
        return refuse(source, "unreadable", got, "a readable source", "check that you may read it")
    if source.suffix.lower() != ".csv" or not source.is_file():
        hint = "name the folder that holds the class folders, or a .csv file"
        return refuse(source, "source-kind", "another file", "a folder or a CSV file", hint)
    return table.read(source)
