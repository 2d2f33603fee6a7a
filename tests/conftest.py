"""What all tests start from."""

import signal

import pytest
from hypothesis import settings
from tests.multiboot.building import TestKernels, build_kernels

# A shell makes what it starts in the background ignore Ctrl-C, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy host makes any example slow, which is no defect.
settings.register_profile("weft", deadline=None)
settings.load_profile("weft")


@pytest.fixture(scope="session")
def multiboot_kernels(tmp_path_factory: pytest.TempPathFactory) -> TestKernels:
    """The kernel of `tests/multiboot`, built."""
    return build_kernels(tmp_path_factory.mktemp("multiboot"))
