"""One adapter per facility of the kernel, QEMU and its helpers. Knows no machines, rooms or policies."""
