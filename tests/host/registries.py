"""Registries on this host, and images to put into them."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.image.oci import media

BUSYBOX = Path("/usr/bin/busybox") if Path("/usr/bin/busybox").exists() else Path("/bin/busybox")
CONFIG: dict[str, Any] = {"Entrypoint": ["/bin/busybox"], "Cmd": ["echo", "hello"], "Env": ["PATH=/bin", "A=b=c"]}


def make_layer(files: Mapping[str, bytes], mode: int = 0o755) -> bytes:
    """A tar with these files, the same bytes for the same files; a name that ends in a slash is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            if name.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def compress(layer: bytes, kind: str) -> bytes:
    """`gzip`, `zstd` or `tar`, which is nothing."""
    if kind == "gzip":
        return gzip.compress(layer, 1, mtime=0)
    if kind == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=layer, stdout=subprocess.PIPE, check=True).stdout
    return layer


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Sample:
    """An image as a registry has it."""

    manifest: bytes
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        return digest(self.manifest)

    def write_layout(self, folder: Path, name: str = "latest") -> Path:
        """As an OCI layout."""
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for key, data in {**self.blobs, self.digest: self.manifest}.items():
            (blobs / key.removeprefix("sha256:")).write_bytes(data)
        entry = {
            **describe(self.manifest, media.OCI_MANIFEST),
            "annotations": {"org.opencontainers.image.ref.name": name},
        }
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return folder


def describe(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def make_sample(
    layers: Iterable[bytes],
    config: Mapping[str, Any] = CONFIG,
    *,
    kind: str = "gzip",
    architecture: str = "amd64",
    os: str = "linux",
) -> Sample:
    """An image of these tars."""
    plain = list(layers)
    packed = [compress(layer, kind) for layer in plain]
    document = json.dumps(
        {
            "architecture": architecture,
            "os": os,
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in plain]},
        }
    ).encode()
    suffix = "" if kind == "tar" else f"+{kind}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": describe(document, media.OCI_CONFIG),
        "layers": [describe(data, media.OCI_LAYER + suffix) for data in packed],
    }
    blobs = {digest(data): data for data in (document, *packed)}
    return Sample(json.dumps(manifest).encode(), blobs)


def busybox_layers() -> list[bytes]:
    """Two layers: busybox with the folders of a system, and a file."""
    folders = {f"{name}/": b"" for name in ("dev", "etc", "proc", "sys", "tmp")}
    return [
        make_layer({**folders, "bin/busybox": BUSYBOX.read_bytes()}),
        make_layer({"etc/greeting": b"hello\n"}, 0o644),
    ]


@dataclass(frozen=True, slots=True)
class LocalRegistry:
    """A docker-registry of Debian's, on the loopback."""

    port: int
    folder: Path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Every request it has had."""
        return (self.folder / "log").read_text()

    def put(self, sample: Sample, name: str, *, tag: str = "latest", options: Iterable[str] = ()) -> str:
        """Have an image in it by skopeo; the full reference."""
        layout = self.folder / "layouts" / f"{name}-{tag}".replace("/", "-")
        sample.write_layout(layout)
        skopeo(
            "copy",
            *(options or ["--dest-tls-verify=false"]),
            f"oci:{layout}:latest",
            f"docker://{self.host}/{name}:{tag}",
        )
        shutil.rmtree(layout)
        return f"{self.host}/{name}:{tag}"


def skopeo(*args: object) -> str:
    done = subprocess.run(["skopeo", "--insecure-policy", *map(str, args)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def open_registry(folder: Path, http: Mapping[str, Any] | None = None, **sections: Any) -> Iterator[LocalRegistry]:
    """`http` and `sections` go into its configuration, which is YAML, of which JSON is a part."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": "127.0.0.1:0", **(http or {})},
        **sections,
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        command = ["docker-registry", "serve", str(folder / "config.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
    try:
        yield LocalRegistry(_wait_listening(folder / "log", process), folder)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait_listening(log: Path, process: "subprocess.Popen[bytes]", seconds: float = 60.0) -> int:
    """The port that it has been given: it says so in its log."""
    deadline = time.monotonic() + seconds
    while not (said := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text())):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
    return int(said[1])
