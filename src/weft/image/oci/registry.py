"""One repository of a registry, over HTTP (OCI distribution specification 1.1).

A registry is not believed: answers are bounded, redirects are followed only to where they may lead, credentials go to
nobody but the registry and the token server that it names, and every byte is compared with its digest by the caller.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import httpx

from weft import __version__
from weft.image.oci.auth import Challenge, Credentials, find_credentials, parse_challenge
from weft.image.oci.manifest import LARGEST_MANIFEST, load_json
from weft.image.oci.media import ACCEPT
from weft.model.errors import Invalid, NotFound, Unavailable, WeftError
from weft.model.reference import DEFAULT_HOST, Reference

DEFAULT_ENDPOINT = "registry-1.docker.io"
"""Where the default registry's API is."""
MOST_REDIRECTS = 5
LARGEST_TOKEN = 1 << 20
TRIES = 4
PAUSES = (0.2, 0.6, 2.0)
"""Seconds between tries, the last one for all that follow."""
PROBE_TIMEOUT = 5.0
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
T = TypeVar("T")
Content = Callable[[], AsyncIterator[bytes]]
"""Makes the body of a request, anew for each try."""


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached. `insecure` are hosts, with their port, that may be spoken to without TLS; `ca` is a
    file with certificates to trust beside the system's; `environ` and `home` say where credentials are."""

    insecure: tuple[str, ...] = ()
    ca: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    home: Path = Path("/")


class Broken(Unavailable):
    """The connection broke or the registry is in trouble: asking again may help. `wait` is in seconds."""

    def __init__(self, message: str, *, hint: str | None = None, wait: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wait = wait


class Registry:
    """Requests about one repository. `push`: whether rights to write are asked for."""

    def __init__(self, client: httpx.AsyncClient, base: httpx.URL, reference: Reference, access: Access, push: bool):
        self._client = client
        self._base = base
        self._reference = reference
        self._access = access
        self._scope = f"repository:{reference.path}:{'pull,push' if push else 'pull'}"
        self._authorization: str | None = None

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self._reference.host}/{self._reference.path}"

    async def fetch_manifest(self, target: str) -> tuple[bytes, str]:
        """A manifest or index by tag or digest, and its media type. Raises NotFound, Invalid, Unavailable."""
        return await with_retries(lambda: self._fetch_manifest(target))

    async def _fetch_manifest(self, target: str) -> tuple[bytes, str]:
        async with self.open("GET", f"manifests/{target}", headers={"Accept": ACCEPT}) as response:
            self.check(response, f"{self.where}, {target}")
            data = await _read_bounded(response, LARGEST_MANIFEST, f"the manifest of {self.where}")
            return data, response.headers.get("content-type", "").partition(";")[0].strip()

    @asynccontextmanager
    async def open(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, content: Content | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Ask, and have the answer whose body has not been read yet. `target` is below the repository, or a URL.

        Authenticates when that is asked for; follows redirects of GET and HEAD. Raises Broken, Invalid, Unavailable."""
        url = self._resolve(target)
        response = await self._send(method, url, headers, content)
        try:
            if response.status_code == 401:
                await self._authenticate(response)
                await response.aclose()
                response = await self._send(method, url, headers, content)
            for _ in range(MOST_REDIRECTS):
                if method not in ("GET", "HEAD") or not response.has_redirect_location:
                    break
                url = self._follow(url, response.headers["location"])
                await response.aclose()
                response = await self._send(method, url, headers, content)
            else:
                raise Invalid(f"{self.where} redirects more than {MOST_REDIRECTS} times")
            yield response
        except httpx.HTTPError as err:
            raise self._translate(err) from err
        finally:
            await response.aclose()

    def check(self, response: httpx.Response, what: str) -> None:
        """Raises what an answer that is no success means."""
        status = response.status_code
        if status < 300:
            return
        if status == 404:
            raise NotFound(f"no {what}", hint="is it spelled like this, and is it there?")
        if status in (401, 403):
            hint = f"it may need a login (skopeo login {self._reference.host}), or not exist"
            raise Unavailable(f"{self._reference.host} refuses access to {what}", hint=hint)
        if status == 429 or status >= 500:
            raise Broken(f"{self._reference.host} answers {what} with status {status}", wait=_parse_wait(response))
        raise Unavailable(f"{self._reference.host} answers {what} with status {status}")

    def resolve_location(self, response: httpx.Response) -> str:
        """Where an upload goes on, as a URL. Raises Invalid."""
        location = response.headers.get("location")
        if not location:
            raise Invalid(f"{self.where} does not say where to upload to")
        return str(self._follow(response.url, location))

    def _resolve(self, target: str) -> httpx.URL:
        return httpx.URL(target) if "://" in target else self._base.join(f"/v2/{self._reference.path}/{target}")

    def _follow(self, url: httpx.URL, location: str) -> httpx.URL:
        """Where a redirect leads; never from TLS to less, and to nothing but HTTP."""
        try:
            led = url.join(location)
        except httpx.InvalidURL as err:
            raise Invalid(f"{self.where} redirects to something that is no URL") from err
        if led.scheme not in ("https", url.scheme) or led.scheme not in ("https", "http") or not led.host:
            raise Invalid(f"{self.where} redirects to {str(led)[:100]!r}, where it may not lead")
        return led

    async def _send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str] | None, content: Content | None
    ) -> httpx.Response:
        """One request. What the registry may know of us goes to the registry alone."""
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if self._authorization and _origin(url) == _origin(self._base):
            sent["Authorization"] = self._authorization
        request = self._client.build_request(method, url, headers=sent, content=content() if content else None)
        try:
            return await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise self._translate(err) from err

    async def _authenticate(self, response: httpx.Response) -> None:
        """Have what the registry asks for, if we can: then the caller asks again."""
        if _origin(response.url) != _origin(self._base):
            return
        challenges = [parse_challenge(text) for text in response.headers.get_list("www-authenticate")[:4]]
        if not challenges:
            return
        host, path = self._reference.host, self._reference.path
        known = await find_credentials(host, path, self._access.environ, self._access.home)
        bearer = next((challenge for challenge in challenges if challenge.scheme == "bearer"), None)
        if bearer is not None:
            self._authorization = f"Bearer {await self._fetch_token(bearer, known)}"
        elif known is not None:
            self._authorization = known.basic

    async def _fetch_token(self, challenge: Challenge, known: Credentials | None) -> str:
        """From the server that the registry names (distribution's token specification)."""
        realm = self._follow(self._base, challenge.parameters.get("realm", ""))
        query = {"scope": self._scope}
        if service := challenge.parameters.get("service"):
            query["service"] = service
        request = self._client.build_request("GET", realm.copy_merge_params(query))
        if known is not None:
            request.headers["Authorization"] = known.basic
        try:
            response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as err:
            raise self._translate(err) from err
        try:
            self.check(response, f"a token for {self.where}")
            data = await _read_bounded(response, LARGEST_TOKEN, "a token")
        finally:
            await response.aclose()
        answer = load_json(data, f"the token of {realm.host}", LARGEST_TOKEN)
        return _parse_token(answer, realm.host)

    def _translate(self, err: Exception) -> WeftError:
        text = str(err) or type(err).__name__
        if "CERTIFICATE_VERIFY_FAILED" in text:
            hint = "the setting registry_ca names a file with certificates to trust"
            return Unavailable(f"{self._reference.host} has no certificate that is trusted here", hint=hint)
        if isinstance(err, httpx.UnsupportedProtocol | httpx.InvalidURL):
            return Invalid(f"{self.where} leads to something that is no URL: {text}")
        return Broken(f"{self._reference.host} does not answer: {text}")


@asynccontextmanager
async def open_registry(reference: Reference, access: Access, *, push: bool = False) -> AsyncIterator[Registry]:
    """The repository of a reference. Raises Unavailable when its host cannot be reached."""
    host = DEFAULT_ENDPOINT if reference.host == DEFAULT_HOST else reference.host
    fields = {"User-Agent": f"weft/{__version__}"}
    # A registry on this host is not behind a proxy.
    local = is_loopback(reference.host)
    async with httpx.AsyncClient(
        verify=await asyncio.to_thread(_make_context, access.ca), timeout=TIMEOUT, headers=fields, trust_env=not local
    ) as client:
        plain = (local or reference.host in access.insecure) and not await _speaks_tls(client, host)
        base = httpx.URL(f"{'http' if plain else 'https'}://{host}")
        yield Registry(client, base, reference, access, push)


async def with_retries(work: Callable[[], Awaitable[T]]) -> T:
    """Do it, again when it broke, a few times."""
    for number in range(TRIES - 1):
        try:
            return await work()
        except Broken as err:
            await asyncio.sleep(pause(number, err))
    return await work()


def pause(number: int, err: Broken) -> float:
    """Seconds to wait after the try of this number, counted from 0."""
    return err.wait if err.wait is not None else PAUSES[min(number, len(PAUSES) - 1)]


def is_loopback(host: str) -> bool:
    """Whether a registry's host, perhaps with a port, is this very host."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        return name == "localhost" or ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _make_context(ca: Path | None) -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE, which OpenSSL reads by itself; and `ca`."""
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as err:  # ssl.SSLError is one
            raise Invalid(f"registry_ca: {ca} holds no certificates: {err.strerror or err}") from err
    return context


async def _speaks_tls(client: httpx.AsyncClient, host: str) -> bool:
    """Where plain HTTP is allowed, TLS is still taken if it is there."""
    try:
        await client.get(f"https://{host}/v2/", timeout=PROBE_TIMEOUT)
    except httpx.HTTPError as err:
        return "CERTIFICATE_VERIFY_FAILED" in str(err)
    return True


async def _read_bounded(response: httpx.Response, limit: int, what: str) -> bytes:
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) > limit:
            raise Invalid(f"{what} is larger than {limit} bytes")
    return bytes(data)


def _parse_token(answer: Mapping[str, Any], host: str) -> str:
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        raise Invalid(f"{host} answers without a token")
    return token


def _parse_wait(response: httpx.Response) -> float | None:
    """What a registry that is busy asks us to wait, within reason."""
    text = response.headers.get("retry-after", "")
    return min(float(text), 10.0) if text.isascii() and text.isdigit() else None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
