"""Pulling and pushing, with a real registry on the loopback, with and without TLS and logins, and lines that break."""

import asyncio
import base64
import hashlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.host.registries import (
    LocalRegistry,
    Sample,
    busybox_layers,
    describe,
    digest,
    make_layer,
    make_sample,
    open_registry,
    skopeo,
)
from tests.host.waiting import wait_until

from weft.image.oci import media
from weft.image.oci.blobs import BlobStore
from weft.image.oci.download import fetch_blobs
from weft.image.oci.manifest import Descriptor
from weft.image.oci.pull import pull_image
from weft.image.oci.push import push_image
from weft.image.oci.registry import Access
from weft.image.oci.registry import open_registry as open_remote
from weft.image.store import ImageStore
from weft.model.errors import Invalid, NotFound, Unavailable
from weft.model.image import ImageKind, ImageManifest
from weft.model.reference import parse_reference

pytestmark = pytest.mark.host

USER, PASSWORD = "weaver", "secret"
HTPASSWD = f"{USER}:$2b$04$MQdD.cHaT7MzmJGtM5ECoOut6MmSFTCrFM4BOXDlonlSTyHiQhLvS\n"
"""bcrypt of the password, with few rounds."""


@dataclass(slots=True)
class Shop:
    """A store of its own, and what pulls into it said."""

    home: Path
    access: Access = field(default_factory=Access)
    said: list[tuple[str, float | None]] = field(default_factory=list)
    blobs: BlobStore = field(init=False)
    images: ImageStore = field(init=False)

    def __post_init__(self) -> None:
        self.blobs, self.images = BlobStore(self.home), ImageStore(self.home)

    async def pull(self, reference: str) -> ImageManifest:
        return await pull_image(parse_reference(reference), self.images, self.blobs, self.access, self.tell)

    async def push(self, image: ImageManifest, reference: str) -> str:
        pushed = await push_image(image, parse_reference(reference), self.blobs, self.access, self.tell)
        return pushed.digest

    def tell(self, text: str, fraction: float | None) -> None:
        self.said.append((text, fraction))

    @property
    def files(self) -> set[str]:
        return {str(path.relative_to(self.blobs.folder)) for path in self.blobs.folder.rglob("*") if path.is_file()}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "home")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    with open_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


def list_root(image: ImageManifest, shop: Shop) -> set[str]:
    command = ["rdsquashfs", "--describe", str(shop.images.root_path(image))]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


async def count_blobs(registry: LocalRegistry, sample: Sample, least: int = 0) -> int:
    """How many times blobs of an image were asked for; waits for so many lines, which come behind the answers."""

    def count() -> int:
        lines = [line for line in registry.log.splitlines() if '"GET ' in line]
        return sum(any(key in line for key in sample.blobs) for line in lines)

    await wait_until(lambda: count() >= least)
    return count()


async def test_pull_and_pull_again(registry: LocalRegistry, shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    reference = registry.put(sample, "team/busybox", tag="1.0")
    image = await shop.pull(reference)
    assert (image.name, image.kind) == (reference, ImageKind.OCI)
    assert (image.entry.entrypoint, image.entry.argv) == (("/bin/busybox",), ("echo", "hello"))
    assert image.entry.env == {"PATH": "/bin", "A": "b=c"}
    assert image.oci is not None
    assert image.oci.manifest == sample.digest
    assert {"bin/busybox", "etc/greeting"} <= list_root(image, shop)
    assert shop.files == {key.replace(":", "/") for key in (*sample.blobs, sample.digest)}
    fractions = [fraction for _, fraction in shop.said if fraction is not None]
    assert fractions == sorted(fractions)
    before = await count_blobs(registry, sample, len(sample.blobs))
    assert before == len(sample.blobs)
    assert await shop.pull(reference) == image
    assert await count_blobs(registry, sample) == before


async def test_layers_are_shared_and_a_root_is_written_once(registry: LocalRegistry, shop: Shop) -> None:
    first = make_sample(busybox_layers())
    second = make_sample(busybox_layers(), {"Cmd": ["/bin/busybox", "true"]})
    one = await shop.pull(registry.put(first, "one"))
    await count_blobs(registry, first, len(first.blobs))
    before = await count_blobs(registry, second)
    two = await shop.pull(registry.put(second, "two"))
    assert await count_blobs(registry, second, before + 1) - before == 1  # the config alone is new
    assert shop.images.root_path(one).samefile(shop.images.root_path(two))
    assert two.entry.argv == ("/bin/busybox", "true")


async def test_a_tag_that_moved_is_pulled_anew(registry: LocalRegistry, shop: Shop) -> None:
    old = await shop.pull(registry.put(make_sample(busybox_layers()), "moving"))
    new_sample = make_sample([*busybox_layers(), make_layer({"new": b"new"})])
    new = await shop.pull(registry.put(new_sample, "moving"))
    assert (old.name, new.oci and new.oci.manifest) == (new.name, new_sample.digest)
    assert shop.images.list() == [new]
    needed = [new.oci.manifest, new.oci.config, *new.oci.layers] if new.oci else []
    removed, freed = shop.blobs.prune(needed)
    assert removed == 2 and freed > 0  # manifest and config of the old one
    assert shop.files == {key.replace(":", "/") for key in (*new_sample.blobs, new_sample.digest)}


async def test_by_digest(registry: LocalRegistry, shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    reference = registry.put(sample, "digests")
    name = f"{reference.removesuffix(':latest')}@{sample.digest}"
    assert (await shop.pull(name)).name == name
    with pytest.raises(NotFound, match="digests"):
        await shop.pull(f"{reference.removesuffix(':latest')}@sha256:{'0' * 64}")


@pytest.mark.parametrize("kind", ["zstd", "tar"])
async def test_other_compressions(registry: LocalRegistry, shop: Shop, kind: str) -> None:
    image = await shop.pull(registry.put(make_sample(busybox_layers(), kind=kind), f"kind-{kind}"))
    assert {"bin/busybox", "etc/greeting"} <= list_root(image, shop)


async def test_an_image_for_several_platforms(registry: LocalRegistry, shop: Shop, tmp_path: Path) -> None:
    ours, other = make_sample(busybox_layers()), make_sample(busybox_layers(), architecture="arm64")
    reference = put_index(registry, tmp_path, {"arm64": other, "amd64": ours}, "platforms")
    image = await shop.pull(reference)
    assert image.oci and image.oci.manifest == ours.digest
    with pytest.raises(Invalid, match="no image for linux/amd64"):
        await shop.pull(put_index(registry, tmp_path, {"arm64": other}, "foreign"))
    with pytest.raises(Invalid, match="is for linux/arm64"):
        await shop.pull(registry.put(other, "arm"))


def put_index(registry: LocalRegistry, folder: Path, samples: dict[str, Sample], name: str) -> str:
    layout = next(iter(samples.values())).write_layout(folder / name)
    entries = []
    for architecture, sample in samples.items():
        for key, data in {**sample.blobs, sample.digest: sample.manifest}.items():
            (layout / "blobs" / "sha256" / key.removeprefix("sha256:")).write_bytes(data)
        platform = {"os": "linux", "architecture": architecture}
        entries.append({**describe(sample.manifest, media.OCI_MANIFEST), "platform": platform})
    index = json.dumps({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}).encode()
    (layout / "blobs" / "sha256" / digest(index).removeprefix("sha256:")).write_bytes(index)
    entry = {**describe(index, media.OCI_INDEX), "annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    options = ("copy", "--all", "--dest-tls-verify=false", f"oci:{layout}:latest")
    skopeo(*options, f"docker://{registry.host}/{name}:latest")
    return f"{registry.host}/{name}:latest"


async def test_docker_manifests(registry: LocalRegistry, shop: Shop, tmp_path: Path) -> None:
    layout = make_sample(busybox_layers()).write_layout(tmp_path / "layout")
    name = f"{registry.host}/docker:latest"
    skopeo("copy", "--format=v2s2", "--dest-tls-verify=false", f"oci:{layout}:latest", f"docker://{name}")
    image = await shop.pull(name)
    assert image.entry.entrypoint == ("/bin/busybox",)
    assert b"docker.distribution.manifest.v2" in shop.blobs.read(image.oci.manifest if image.oci else "")


async def test_what_is_not_there(registry: LocalRegistry, shop: Shop) -> None:
    with pytest.raises(NotFound, match=r"no .*nothing, latest"):
        await shop.pull(f"{registry.host}/nothing")
    assert shop.images.list() == []
    with pytest.raises(Unavailable, match="does not answer"):
        await shop.pull("127.0.0.1:1/nothing")


@dataclass(slots=True)
class Line:
    """A line to a registry that breaks after so many bytes of each answer, as many times as it is told to."""

    port: int
    bytes: int
    breaks: int
    connections: int = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.connections += 1
        up = asyncio.create_task(self._copy(reader, far_writer, None))
        down = asyncio.create_task(self._copy(far_reader, writer, self.bytes))
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
        for end in (writer, far_writer):
            end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        done = 0
        while data := await reader.read(1 << 16):
            if limit is not None and self.breaks and done + len(data) > limit:
                self.breaks -= 1
                writer.write(data[: limit - done])
                await writer.drain()
                return
            writer.write(data)
            await writer.drain()
            done += len(data)


@asynccontextmanager
async def open_line(registry: LocalRegistry, size: int, breaks: int) -> AsyncIterator[tuple[Line, str]]:
    line = Line(registry.port, size, breaks)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    async with server:
        yield line, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def random_sample(size: int = 4 << 20, layers: int = 1) -> Sample:
    return make_sample([make_layer({f"data/{number}": os.urandom(size)}) for number in range(layers)])


async def test_a_layer_that_is_cut_off_is_gone_on_with(registry: LocalRegistry, shop: Shop) -> None:
    sample = random_sample()
    path = registry.put(sample, "cut").partition("/")[2]
    async with open_line(registry, 1_500_000, 2) as (line, host):
        image = await shop.pull(f"{host}/{path}")
    assert line.breaks == 0
    assert image.oci and image.oci.manifest == sample.digest
    layer = next(key for key in sample.blobs if len(sample.blobs[key]) > 1 << 20)

    def statuses() -> list[str]:
        lines = [line for line in registry.log.splitlines() if f"/blobs/{layer} HTTP" in line and '"GET' in line]
        return sorted(line.split('" ')[1].split()[0] for line in lines)

    await wait_until(lambda: len(statuses()) >= 3)
    assert statuses() == ["200", "206", "206"]


async def test_a_pull_that_failed_goes_on_later(registry: LocalRegistry, shop: Shop) -> None:
    sample = random_sample()
    path = registry.put(sample, "later").partition("/")[2]
    async with open_line(registry, 100_000, 1000) as (_line, host):
        with pytest.raises(Unavailable):
            await shop.pull(f"{host}/{path}")
    assert shop.images.list() == []
    assert not list((shop.home / "images").glob("*"))
    partial = next((shop.blobs.folder / "partial").iterdir())
    assert 0 < partial.stat().st_size < 4 << 20
    again = Shop(shop.home)
    assert await again.pull(f"{registry.host}/{path}")
    layer = partial.name.removeprefix("sha256-")
    await wait_until(lambda: any('" 206 ' in line for line in registry.log.splitlines() if layer in line))
    assert not list((shop.blobs.folder / "partial").iterdir())


async def test_a_damaged_part_is_fetched_anew(registry: LocalRegistry, shop: Shop) -> None:
    sample = random_sample()
    reference = registry.put(sample, "damaged")
    layer = next(key for key in sample.blobs if len(sample.blobs[key]) > 1 << 20)
    partial = shop.blobs.partial_path(layer)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(1 << 20))
    assert await shop.pull(reference)
    assert hashlib.sha256(shop.blobs.path(layer).read_bytes()).hexdigest() in layer


async def test_two_pulls_at_once_fetch_each_layer_once(registry: LocalRegistry, shop: Shop) -> None:
    sample = random_sample(layers=5)
    reference = registry.put(sample, "twice")
    first, second = await asyncio.gather(shop.pull(reference), shop.pull(reference))
    assert first.digest == second.digest
    assert await count_blobs(registry, sample, len(sample.blobs)) == len(sample.blobs)


async def test_a_pull_that_is_cancelled_leaves_no_image(registry: LocalRegistry, shop: Shop) -> None:
    sample = random_sample(8 << 20, layers=2)
    reference = registry.put(sample, "cancelled")
    pull = asyncio.create_task(shop.pull(reference))
    await wait_until(lambda: any(fraction for _, fraction in shop.said), 60)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    assert shop.images.list() == []
    assert await shop.pull(reference)


def write_login(folder: Path, host: str, user: str = USER, password: str = PASSWORD) -> Access:
    """A config.json as `docker login` writes it."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return Access(environ={"DOCKER_CONFIG": str(folder)})


async def test_basic_login(tmp_path: Path, shop: Shop) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    login = {"htpasswd": {"realm": "here", "path": str(tmp_path / "htpasswd")}}
    with open_registry(tmp_path / "registry", auth=login) as registry:
        credentials = ("--dest-tls-verify=false", f"--dest-creds={USER}:{PASSWORD}")
        reference = registry.put(make_sample(busybox_layers()), "closed", options=credentials)
        with pytest.raises(Unavailable, match="refuses access") as caught:
            await shop.pull(reference)
        assert f"skopeo login {registry.host}" in str(caught.value)
        shop.access = write_login(tmp_path, registry.host, password="wrong")
        with pytest.raises(Unavailable, match="refuses access"):
            await shop.pull(reference)
        shop.access = write_login(tmp_path, registry.host)
        image = await shop.pull(reference)
        assert await shop.push(image, f"{registry.host}/mine:1") == image.oci.manifest if image.oci else ""


def make_certificate(folder: Path) -> Path:
    """A self-signed one for 127.0.0.1: its own authority."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=weft"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command, *files, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return folder / "cert.pem"


async def test_tls(tmp_path: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    tls = {"tls": {"certificate": str(certificate), "key": str(tmp_path / "key.pem")}}
    with open_registry(tmp_path / "registry", tls) as registry:
        reference = registry.put(make_sample(busybox_layers()), "tls")
        with pytest.raises(Unavailable, match="no certificate that is trusted here") as caught:
            await shop.pull(reference)
        assert "registry_ca" in str(caught.value)
        shop.access = Access(ca=certificate)
        image = await shop.pull(reference)
        shop.images.remove(image.name)
        shop.access = Access()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await shop.pull(reference)
    with pytest.raises(Invalid, match="holds no certificates"):
        await Shop(tmp_path / "other", Access(ca=tmp_path / "key.pem")).pull(reference)


Handler = Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes]]


@asynccontextmanager
async def open_server(handle: Handler) -> AsyncIterator[str]:
    """A small HTTP server that answers GET by a function of path and fields; its host with port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if (first := await reader.readexactly(1)) == b"\x16":  # TLS, which we do not speak
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            raw = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head[1:] if ": " in line}
            status, extra, body = handle(head[0].split()[1], {**fields, **raw})
            extra = {"Content-Length": str(len(body)), "Connection": "close", **extra}
            lines = [f"HTTP/1.1 {status} X", *(f"{key}: {value}" for key, value in extra.items())]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def serve_sample(sample: Sample, **changes: Any) -> Handler:
    """A registry of one image; `changes` are blobs by digest, or `manifest`, to serve instead."""

    def handle(path: str, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        last = path.rpartition("/")[2]
        if "/manifests/" in path:
            return 200, {"Content-Type": media.OCI_MANIFEST}, changes.get("manifest", sample.manifest)
        content = changes.get(last, sample.blobs.get(last))
        return (200, {}, content) if content is not None else (404, {}, b"")

    return handle


async def test_token_login(tmp_path: Path, shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    inner = serve_sample(sample)
    asked: list[tuple[str, str | None]] = []
    place: list[str] = []

    def handle(path: str, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/token"):
            asked.append((path, fields.get("authorization")))
            return 200, {}, json.dumps({"token": "abc.def"}).encode()
        if fields.get("authorization") != "Bearer abc.def":
            realm = f'Bearer realm="http://{place[0]}/token",service="my registry",scope="ignored"'
            return 401, {"WWW-Authenticate": realm}, b""
        return inner(path, fields)

    async with open_server(handle) as host:
        place.append(host)
        await shop.pull(f"{host}/team/app:1")
        assert asked == [("/token?scope=repository%3Ateam%2Fapp%3Apull&service=my+registry", None)]
        shop.images.remove(f"{host}/team/app:1")
        shop.access = write_login(tmp_path, host)
        await shop.pull(f"{host}/team/app:1")
        assert asked[1][1] == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


async def test_credentials_do_not_follow_a_redirect(tmp_path: Path, shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    inner = serve_sample(sample)
    strangers: list[str | None] = []

    def stranger(path: str, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        strangers.append(fields.get("authorization"))
        return inner(path, fields)

    async with open_server(stranger) as elsewhere:

        def handle(path: str, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
            if "authorization" not in fields:
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
            if "/blobs/" in path:
                return 307, {"Location": f"http://{elsewhere}{path}"}, b""
            return inner(path, fields)

        async with open_server(handle) as host:
            shop.access = write_login(tmp_path, host)
            await shop.pull(f"{host}/app")
    assert strangers == [None] * len(sample.blobs)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher:x"])
async def test_redirects_to_elsewhere(shop: Shop, location: str) -> None:
    async with open_server(lambda path, fields: (302, {"Location": location}, b"")) as host:
        with pytest.raises(Invalid, match=r"redirects to|leads to"):
            await shop.pull(f"{host}/app")


async def test_redirects_without_end(shop: Shop) -> None:
    async with open_server(lambda path, fields: (302, {"Location": path}, b"")) as host:
        with pytest.raises(Invalid, match="more than"):
            await shop.pull(f"{host}/app")


def other(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


async def test_hostile_content(shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    layer = max(sample.blobs, key=lambda key: len(sample.blobs[key]))
    content = sample.blobs[layer]
    cases = [
        ({layer: other(content)}, "something else"),
        ({layer: content + b"x"}, "longer than"),
        ({"manifest": b"{"}, "not JSON"),
        ({"manifest": b" " * (5 << 20)}, "larger than"),
        ({"manifest": sample.manifest.replace(b"tar+gzip", b"tar+rot13")}, "layer of unknown kind"),
        ({"manifest": sample.manifest.replace(b"image.config", b"helm.config")}, "something else than an image"),
        ({"manifest": sample.manifest.replace(b"sha256:", b"md5:")}, "is damaged"),
    ]
    for changes, message in cases:
        async with open_server(serve_sample(sample, **changes)) as host:
            with pytest.raises(Invalid, match=message):
                await shop.pull(f"{host}/app")
    assert shop.images.list() == []
    assert not list((shop.blobs.folder / "partial").iterdir())


async def test_a_blob_of_another_digest_algorithm(shop: Shop) -> None:
    data = b"content"
    key = f"sha512:{hashlib.sha512(data).hexdigest()}"
    blob = Descriptor(digest=key, size=len(data))
    async with (
        open_server(lambda path, fields: (200, {}, data)) as host,
        open_remote(parse_reference(f"{host}/app"), Access()) as remote,
    ):
        await fetch_blobs(remote, shop.blobs, [blob], lambda _: None)
    assert shop.blobs.path(key).read_bytes() == data


async def test_a_registry_in_trouble_is_asked_again(shop: Shop) -> None:
    sample = make_sample(busybox_layers())
    inner, failures = serve_sample(sample), [503, 429, 500]

    def handle(path: str, fields: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if failures and path != "/v2/":
            return failures.pop(), {"Retry-After": "0"}, b""
        return inner(path, fields)

    async with open_server(handle) as host:
        assert await shop.pull(f"{host}/app")


async def test_push(registry: LocalRegistry, shop: Shop) -> None:
    sample = make_sample(busybox_layers(), {"Cmd": ["/bin/busybox", "uptime"]})
    image = await shop.pull(registry.put(sample, "from"))
    assert await shop.push(image, f"{registry.host}/to/there:2") == sample.digest
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/to/there:2"))
    assert seen["Digest"] == sample.digest
    assert await shop.push(image, f"{registry.host}/to/there:3") == sample.digest
    await wait_until(lambda: "/to/there/manifests/3" in registry.log)
    uploads = [line for line in registry.log.splitlines() if '"PUT /v2/to/there/blobs' in line]
    assert len(uploads) == len(sample.blobs)
    with pytest.raises(Invalid, match="gets a tag"):
        await shop.push(image, f"{registry.host}/to/there@{sample.digest}")
