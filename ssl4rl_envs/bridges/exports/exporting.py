"""An export: shard by shard, so that one that was killed goes on where it was, and a manifest of what there is."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ssl4rl_envs.bridges.exports.columns import Arrow, Parquet
from ssl4rl_envs.bridges.exports.files import PARTIAL, digest, folder_digest, read_object, whole, write_text
from ssl4rl_envs.bridges.exports.form import Form
from ssl4rl_envs.bridges.exports.lines import Lines
from ssl4rl_envs.bridges.exports.lmms_eval import LmmsEval
from ssl4rl_envs.bridges.exports.plan import Plan
from ssl4rl_envs.bridges.exports.tar import Tar
from ssl4rl_envs.bridges.exports.vlmevalkit import VLMEvalKit
from ssl4rl_envs.installing import need

FORMATS: dict[str, type[Form]] = {
    "datasets": Arrow,
    "parquet": Parquet,
    "webdataset": Tar,
    "jsonl": Lines,
    "lmms-eval": LmmsEval,
    "vlmevalkit": VLMEvalKit,
}
"""The formats by name."""

MANIFEST = "manifest.json"
"""What the folder holds; it is there when all the rest is."""

BEGUN = "begun.json"
"""What an export that is not complete is to become."""

NOTED = "begun-shards.jsonl"
"""What the manifest will say of each shard, a line a shard that is there."""

Progress = Callable[[int, int], None]


class Export(NamedTuple):
    """What came of an export: its manifest, and how many questions were there before."""

    manifest: dict[str, Any]
    found: int


def export(plan: Plan, folder: Path, progress: Progress | None = None) -> Export:
    """Write the questions of a plan into a folder, or what is missing of them.

    The manifest that is written last holds the keys of every question (`env_id`, `args`, `split`, `seed`, `prompt_style`, and
    `first` of each shard, from which its questions count up), so that `ssl4rl_envs.score` scores replies without the data;
    `task`, a number of the task and of its source's content; and the SHA-256 of every shard, of the pictures that belong to
    it and of the files beside them. An export that was killed and is called again gives the same bytes as one that was not.

    Args:
        plan: what is exported, and how.
        folder: where to; made where it is not there.
        progress: called with how many questions are there, and how many there are to be, after every shard.

    Raises:
        ImportError: the format needs a package that is not installed.
        NotADirectoryError: the folder is a file, or lies in one.
        ValueError: the format is unknown or cannot hold these questions, or the folder holds something else.
        RuntimeError: another process is exporting into the folder.
    """
    form = _form(plan)
    wanted = {"format": plan.format, **plan.keys(), **form.facts(), "shard_size": plan.shard_size}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{folder} is a file, or lies in one, and an export is a folder; choose another") from error
    with _alone_in(folder):
        if (folder / MANIFEST).exists():
            manifest = _complete(folder, wanted)
            _tidy(form, folder)
            return Export(manifest, plan.n)
        _begin(folder, wanted)
        shards, found = _write_shards(form, folder, progress or (lambda *_: None))
        beside = {name: digest(folder / name) for name in form.finish(folder)}
        manifest = {**wanted, "shards": [] if form.joins else shards, "files": beside}
        write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        _tidy(form, folder)
    return Export(manifest, found)


def _form(plan: Plan) -> Form:
    if plan.format not in FORMATS:
        raise ValueError(f"unknown format {plan.format!r}; known are {', '.join(FORMATS)}")
    need(f"the format {plan.format}", "data", *FORMATS[plan.format].needs)
    return FORMATS[plan.format](plan)


def _write_shards(form: Form, folder: Path, progress: Progress) -> tuple[list[dict[str, Any]], int]:
    """Write the shards that are not there, or no longer as they were written.

    Returns:
        What the manifest says of all shards, and how many questions were there.
    """
    plan, shards, found = form.plan, list[dict[str, Any]](), 0
    noted = _noted(folder)
    with (folder / NOTED).open("a", encoding="utf-8") as notes:
        notes.write("\n")  # behind a line that a kill may have cut off
        for number in range(plan.shards):
            first, count = plan.span(number)
            path = folder / form.shard(number)
            if path.exists() and noted.get(form.shard(number)) == (told := _told(form, folder, number)):
                found += count
            else:
                with whole(path) as aside:
                    form.write(plan.rows(number, form.prompt_style), aside, folder)
                told = _told(form, folder, number)
                notes.write(json.dumps(told) + "\n")
                notes.flush()
            shards.append(told)
            progress(first + count - plan.first, plan.n)
    return shards, found


def _noted(folder: Path) -> dict[str, Any]:
    """Return what is noted of shards, by their names; a note that was cut off is none."""
    found = {}
    for line in (folder / NOTED).read_text(encoding="utf-8").splitlines() if (folder / NOTED).exists() else ():
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(line)
            found[told["file"]] = told
    return found


def _told(form: Form, folder: Path, number: int) -> dict[str, Any]:
    """Return what the manifest says of a shard that is there."""
    name, beside, (first, count) = form.shard(number), form.beside(number), form.plan.span(number)
    pictures = {} if beside is None else {"images": beside, "images_sha256": folder_digest(folder / beside)}
    return {"file": name, "first": first, "n": count, "sha256": digest(folder / name), **pictures}


def _begin(folder: Path, wanted: dict[str, Any]) -> None:
    begun = folder / BEGUN
    if begun.exists():
        _same(read_object(begun), wanted, begun)
        return
    others = sorted(path.name for path in folder.iterdir() if not path.name.endswith(PARTIAL))
    if others:
        raise ValueError(f"{folder} is neither empty nor an export, it holds {others[0]}; choose another folder")
    write_text(begun, json.dumps(wanted, indent=2) + "\n")


def _complete(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a complete export, whose files are compared with it."""
    manifest = read_object(folder / MANIFEST)
    _same(manifest, wanted, folder / MANIFEST)
    try:
        shards, files = list(manifest["shards"]), dict(manifest["files"])
        named = {**{shard["file"]: shard["sha256"] for shard in shards}, **files}
        pictures = {shard["images"]: shard["images_sha256"] for shard in shards if "images" in shard}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{folder / MANIFEST} has been changed since it was exported; choose another folder") from error
    for name, hashed in [*((name, digest) for name in named), *((name, folder_digest) for name in pictures)]:
        path = folder / name
        if not path.exists() or hashed(path) != {**named, **pictures}[name]:
            state = "has been changed" if path.exists() else "is gone"
            raise ValueError(f"{path} {state} since it was exported; delete the folder, or choose another one")
    return manifest


def _same(there: dict[str, Any], wanted: dict[str, Any], path: Path) -> None:
    wanted = json.loads(json.dumps(wanted))  # tuples are lists there
    for name in wanted:
        if there.get(name) != wanted[name]:
            raise ValueError(
                f"{path} is of another export: {name} is {there.get(name)!r} there and {wanted[name]!r} here; "
                "choose another folder"
            )


def _tidy(form: Form, folder: Path) -> None:
    """Delete what the way to the manifest has left."""
    if form.joins:
        for number in range(form.plan.shards):
            (folder / form.shard(number)).unlink(missing_ok=True)
        shards = (folder / form.shard(0)).parent
        if shards.exists():
            shards.rmdir()
    for name in (NOTED, BEGUN):
        (folder / name).unlink(missing_ok=True)
    for left in folder.rglob(f"*{PARTIAL}"):
        left.unlink()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"another process is exporting into {folder}") from None
    else:
        yield
    finally:
        os.close(handle)
