"""Kernels."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from weft.api.deps import TheFabric
from weft.api.progress import answer_with_progress
from weft.image.importing import import_kernel
from weft.image.kernel import build_kernel
from weft.model.errors import WrongState
from weft.model.image import KernelInfo
from weft.model.names import DEFAULT_KERNEL

router = APIRouter(prefix="/kernels", tags=["kernels"])


class KernelBuild(BaseModel):
    """`source`: an unpacked kernel tree; without it the distribution's source package."""

    model_config = ConfigDict(extra="forbid")

    name: str = DEFAULT_KERNEL
    source: Path | None = None
    force: bool = False


class KernelImport(BaseModel):
    """`file`: a vmlinux or bzImage on the daemon's host."""

    model_config = ConfigDict(extra="forbid")

    file: Path
    name: str = DEFAULT_KERNEL


@router.get("")
async def list_kernels(fabric: TheFabric) -> list[KernelInfo]:
    """All kernels."""
    return fabric.shared.kernels.list()


@router.post("/build", response_class=StreamingResponse)
async def build(fabric: TheFabric, body: KernelBuild) -> StreamingResponse:
    """Build a kernel: a stream of progress lines, then the result."""
    home = fabric.shared.layout.home
    return answer_with_progress(
        lambda progress: build_kernel(home, name=body.name, source=body.source, progress=progress, force=body.force)
    )


@router.post("/import", status_code=201)
async def import_file(fabric: TheFabric, body: KernelImport) -> KernelInfo:
    """Take a kernel that is there."""
    return await import_kernel(body.file, fabric.shared.layout.home, name=body.name)


@router.delete("/{name}", status_code=204)
async def remove_kernel(fabric: TheFabric, name: str) -> None:
    """Remove a kernel that no machine uses."""
    users = fabric.rooms.machines_that(lambda machine: machine.kernel == name)
    if users:
        raise WrongState(f"kernel {name!r} is used by {', '.join(users)}", hint="remove these machines first")
    fabric.shared.kernels.remove(name)
