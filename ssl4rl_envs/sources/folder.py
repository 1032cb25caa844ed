"""A folder of pictures as a source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from ssl4rl_envs.sources.collected import CollectedSource, recent
from ssl4rl_envs.sources.collection import Collection, Members
from ssl4rl_envs.sources.listing import list_pictures
from ssl4rl_envs.sources.options import SHORT_SIDE, checked, joined, split_name

if TYPE_CHECKING:
    from ssl4rl_envs.sources.reading import Reading


class Folder(Collection):
    """The picture files of a folder and its subfolders, at any depth; links are followed.

    Args:
        root: the folder.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: it holds nothing that is called like a picture.
    """

    def __init__(self, root: Path) -> None:
        if not root.exists():
            raise FileNotFoundError(f"the image folder {root} does not exist")
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is a file; name the folder that holds the pictures")
        self.root, self.what, self.name = root, str(root), f"folder:{root}"
        self.place = str(root.resolve())
        self.files, self.trouble = list_pictures(root)
        if not self.files.names and not self.trouble:
            raise ValueError(f"the image folder {root} holds no picture; looked for names ending in .png, .jpg, .webp, ...")

    @override
    def members(self) -> Members:
        return Members(self.files.names, dict(self.trouble))

    @override
    def read(self, number: int) -> bytes:
        return (self.root / self.files.names[number]).read_bytes()

    @override
    def where(self) -> Callable[[str], Path]:
        return self.root.__truediv__


def read_picture(file: str | Path, side: int | str | None = SHORT_SIDE) -> Reading:
    """Read one picture file as a folder's are read, apart from what its numbers have in common with others.

    Args:
        file: the picture.
        side: as of `FolderSource`.

    Returns:
        `pixels`, uint8 RGB (height, width, 3), upright, and what is to be known of how they were read.

    Raises:
        Exception: Pillow cannot read it, for which its readers raise errors of many types.
        ValueError: it is smaller than 4 pixels, or holds no finite number.
    """
    from ssl4rl_envs.sources import reading  # with Pillow's readers, which who finds a folder in the cache never needs

    return reading.read_picture(Path(file).read_bytes(), checked(side, dedup=False))


class FolderSource(CollectedSource):
    """Every picture of a folder and its subfolders, at any depth; links are followed. See `CollectedSource`.

    Files whose name does not end like a picture's are not looked at.

    Args:
        path: the folder.
        dedup: whether near-duplicates are looked for; without, only pictures of equal pixels are kept together.
        side: most pixels of the shorter side, larger pictures are reduced to it; "native" keeps each at its own size.

    Attributes:
        files: the picture files, in the order of the items.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: it holds no readable picture.
    """

    def __init__(self, path: str | Path | Folder, *, dedup: bool = True, side: int | str | None = SHORT_SIDE) -> None:
        listed = path if isinstance(path, Folder) else Folder(Path(path).expanduser())
        settings = checked(side, dedup)
        super().__init__(listed, settings, joined(f"folder:{listed.place}", settings))


def folder(path: str | Path, *, dedup: bool = True, side: int | str | None = SHORT_SIDE) -> FolderSource:
    """Return the source of a folder; an unchanged folder is the same object each time, as long as it is one of the last.

    Args:
        path: the folder; options behind it are the same as the other arguments: "?dedup=false", "?side=512&dedup=false".
        dedup, side: see `FolderSource`.
    """
    name, settings, _ = split_name(str(path), checked(side, dedup))
    root = Path(name).expanduser()
    listed = Folder(root.resolve() if root.is_dir() else root)
    return recent(listed, settings, lambda: FolderSource(listed, dedup=settings.dedup, side=settings.side))
