"""Images and kernels of one fabric, as files below its HOME.

Each lives in a folder of its own name, percent-encoded: a record (`image.json`, `kernel.json`) and one payload file,
the root file system or the vmlinux. The record is put in place last and taken away first, each time by one rename or
unlink, so a reader sees the whole thing or nothing, whatever moment a writer dies at. What runs keeps the payload it
has opened.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from weft.image.folders import share_folder
from weft.model.errors import Exists, Invalid, NotFound, Unavailable, WeftError
from weft.model.image import BUILT_IN, ImageManifest, KernelInfo
from weft.model.names import DEFAULT_KERNEL, parse_name
from weft.model.reference import parse_image_name, parse_reference

DIGEST_PREFIX = "sha256:"
DRAFT_PREFIX = ".draft-"
SHORTEST_DIGEST = 6
"""Fewer hexadecimal digits than this are taken for a name, never for a digest."""
LONGEST_FOLDER = 200
"""A file system takes 255 bytes; a name that is longer when it is encoded ends in its digest instead."""

Record = TypeVar("Record", ImageManifest, KernelInfo)


class RecordStore(Generic[Record]):
    """Records of one type in one folder."""

    def __init__(self, folder: Path, what: str, record_type: type[Record]) -> None:
        self.folder = folder
        self._what = what
        self._type: type[Record] = record_type
        self._known: dict[Path, tuple[tuple[int, int, int], Record]] = {}
        """Records that were read, and the files as they were then: one that is replaced is another file."""

    def list(self) -> list[Record]:
        """All of them, by name. A damaged record is left out: `get` says what is wrong with it."""
        try:
            folders = [entry for entry in self.folder.iterdir() if entry.is_dir()]
        except OSError:
            return []
        records = [self._read_sound(folder) for folder in folders]
        return sorted((record for record in records if record is not None), key=lambda record: record.name)

    def find(self, name: str) -> Record | None:
        """The one with this name. Raises Invalid when its record is damaged."""
        return self._read(self._folder(name)) if self._is_name(name) else None

    def has(self, name: str) -> bool:
        """Whether there is one with this name, be its record damaged or not."""
        return self._is_name(name) and self._record_path(name).exists()

    def _read(self, folder: Path) -> Record | None:
        path = folder / f"{self._what}.json"
        try:
            facts = path.stat()
            seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            known = self._known.get(path)
            if known is None or known[0] != seen:
                known = self._known[path] = (seen, self._type.model_validate_json(path.read_bytes()))
        except OSError:
            self._known.pop(path, None)
            return None
        except ValidationError as err:
            raise Invalid(f"{path} is damaged", hint=f"remove the {self._what} and make it again") from err
        return known[1]

    def get(self, reference: str) -> Record:
        """The one with this name, or with a digest that begins like this. Raises NotFound, or Invalid for two."""
        record = self.find(reference)
        if record is not None:
            return record
        matching = self._matching_digest(reference)
        if len({record.digest for record in matching}) > 1:
            raise Invalid(f"{len(matching)} {self._what}s have a digest that begins with {reference}")
        if not matching:
            raise NotFound(f"no {self._what} {reference!r}", hint=self._hint(reference))
        return matching[0]

    def payload_path(self, record: Record) -> Path:
        """Where the record's file is."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Take it away. Raises NotFound."""
        with self._locked():
            if not self.has(name):
                raise NotFound(f"no {self._what} {name!r}", hint=self._hint(name))
            self._record_path(name).unlink()
            shutil.rmtree(self._folder(name))

    @contextmanager
    def open_draft(self) -> Iterator[Path]:
        """An empty folder on the store's file system for what is being made, gone afterwards. What a writer left that
        died meanwhile goes too: a draft's name begins with its writer's pid. Raises Unavailable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for draft in self.folder.glob(DRAFT_PREFIX + "*"):
                if not Path("/proc", draft.name.removeprefix(DRAFT_PREFIX).partition("-")[0]).exists():
                    shutil.rmtree(draft, ignore_errors=True)
            draft = Path(tempfile.mkdtemp(prefix=f"{DRAFT_PREFIX}{os.getpid()}-", dir=self.folder))
        except OSError as err:
            raise Unavailable(f"cannot write to {self.folder}: {err.strerror}") from err
        try:
            yield draft
        except OSError as err:
            raise Unavailable(f"cannot write below {draft}: {err.strerror}") from err
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _put(self, record: Record, payload: Path) -> None:
        """Move `payload`, on the same file system, to its place, then let the record appear."""
        folder = self._folder(record.name)
        with self._locked():
            folder.mkdir(parents=True, exist_ok=True)
            payload.chmod(0o644)
            payload.replace(self.payload_path(record))
            self._write_record(record)
            keep = {self.payload_path(record).name, self._record_path(record.name).name}
            for leftover in folder.iterdir():
                if leftover.name not in keep:
                    leftover.unlink()

    def _write_record(self, record: Record) -> None:
        path = self._record_path(record.name)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(record.model_dump(mode="json"), indent=2) + "\n")
        draft.replace(path)

    def _record_path(self, name: str) -> Path:
        return self._folder(name) / f"{self._what}.json"

    def _folder(self, name: str) -> Path:
        """Where the record of this name is. Raises Invalid for what cannot be a name."""
        return self.folder / folder_name(self._parse(name))

    def _parse(self, name: str) -> str:
        return parse_name(name, self._what)

    def _is_name(self, text: str) -> bool:
        try:
            return bool(self._parse(text))
        except Invalid:
            return False

    def _read_sound(self, folder: Path) -> Record | None:
        try:
            record = self._read(folder)
        except Invalid:
            return None
        return record if record and self._is_name(record.name) and self._folder(record.name) == folder else None

    def _matching_digest(self, reference: str) -> Sequence[Record]:
        digits = reference.removeprefix(DIGEST_PREFIX)
        if len(digits) < SHORTEST_DIGEST:
            return ()
        return [record for record in self.list() if record.digest.startswith(DIGEST_PREFIX + digits)]

    def _hint(self, name: str) -> str:
        return f"weft {self._what} ls shows what is there"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Writers one after the other; readers need no lock. Held only for a few renames."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as err:
            raise Unavailable(f"cannot write below {self.folder}: {err.strerror}") from err


class ImageStore(RecordStore[ImageManifest]):
    """The images of the fabric whose state is in `home`."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "images", "image", ImageManifest)

    def root_path(self, image: ImageManifest) -> Path:
        """The file with the image's root file system."""
        return self.payload_path(image)

    def payload_path(self, record: ImageManifest) -> Path:
        return self._folder(record.name) / record.root_file

    def find(self, name: str) -> ImageManifest | None:
        """The image of this name: a label that nobody has is looked for as a reference, too. Raises Invalid."""
        if name in BUILT_IN:
            return BUILT_IN[name]
        return super().find(name) or (super().find(str(parse_reference(name))) if self._is_name(name) else None)

    def add(self, image: ImageManifest, root: Path) -> ImageManifest:
        """Keep an image; `root` is moved, so it has to be on the same file system. One of this name is replaced."""
        digest = record_digest(root)
        name = f"root-{digest.removeprefix(DIGEST_PREFIX)[:12]}.{image.root_type}"
        kept = image.model_copy(update={"digest": digest, "size": root.stat().st_size, "root_file": name})
        self._put(kept, root)
        return kept

    def tag(self, reference: str, name: str) -> ImageManifest:
        """Give an image a second name, which shares its root file. Raises NotFound, Invalid, Exists for its own."""
        image = self.get(reference)
        record = image.model_copy(update={"name": parse_image_name(name)})
        if record.name == image.name:
            raise Exists(f"image {image.name!r} has this name already")
        with self.open_draft() as draft:
            os.link(self.root_path(image), draft / "root")
            self._put(record, draft / "root")
        return record

    def add_linked(self, image: ImageManifest, other: ImageManifest) -> ImageManifest:
        """Keep `image` with the root file of another one that is here. Raises Unavailable when that is gone."""
        same = {"digest": other.digest, "size": other.size, "root_file": other.root_file, "root_type": other.root_type}
        kept = image.model_copy(update=same)
        with self.open_draft() as draft:
            os.link(self.root_path(other), draft / "root")
            self._put(kept, draft / "root")
        return kept

    def _put(self, record: ImageManifest, payload: Path) -> None:
        if record.name in BUILT_IN:
            raise Invalid(f"{record.name!r} is built in: no other image can be called so")
        super()._put(record, payload)

    def _parse(self, name: str) -> str:
        return parse_image_name(name)

    def _hint(self, name: str) -> str:
        return f"{_where_from(name)}; weft image ls shows what is there"


class KernelStore(RecordStore[KernelInfo]):
    """The kernels of the fabric whose state is in `home`."""

    def __init__(self, home: Path) -> None:
        super().__init__(home / "kernels", "kernel", KernelInfo)

    def default(self) -> KernelInfo:
        """The kernel a machine gets unless it asks for one. Raises NotFound."""
        return self.get(DEFAULT_KERNEL)

    def vmlinux_path(self, kernel: KernelInfo) -> Path:
        """The file to give to QEMU."""
        return self.payload_path(kernel)

    def payload_path(self, record: KernelInfo) -> Path:
        return self._folder(record.name) / "vmlinux"

    def add(self, kernel: KernelInfo, vmlinux: Path) -> KernelInfo:
        """Keep a kernel; `vmlinux` is moved, so it has to be on the same file system. One of this name is replaced."""
        kept = kernel.model_copy(update={"digest": record_digest(vmlinux), "size": vmlinux.stat().st_size})
        self._put(kept, vmlinux)
        return kept

    def _hint(self, name: str) -> str:
        if name == DEFAULT_KERNEL:
            return "weft kernel build makes one, weft kernel import FILE takes one you have"
        return super()._hint(name)


def folder_name(name: str) -> str:
    """The folder for a name: the name itself when it is a DNS label, else without what a path must not have."""
    encoded = quote(name, safe="")
    if len(encoded) <= LONGEST_FOLDER:
        return encoded
    return f"{encoded[: LONGEST_FOLDER - 65]}%{hashlib.sha256(name.encode()).hexdigest()}"


def _where_from(name: str) -> str:
    """How one would come by an image that is not there."""
    try:
        if (share_folder("appliances") / parse_name(name)).is_dir():
            return f"weft image build {name} makes it from appliances/{name}"
        return f"weft run docker.io/library/{name} pulls it"
    except WeftError:
        pass
    try:
        return f"weft image pull {parse_image_name(name)} fetches it"
    except Invalid as err:
        return str(err.hint)


def record_digest(path: Path) -> str:
    """`sha256:` and the digest of a file, which is on disk for good when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return DIGEST_PREFIX + hashlib.file_digest(file, "sha256").hexdigest()
