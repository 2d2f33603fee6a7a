"""What all benchmarks share: fabrics of their own, bare QEMU, real traffic, reports. It only measures."""
