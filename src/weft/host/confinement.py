"""What a QEMU without a filter of its own must not call: the small one is built without `-sandbox`.

The filter is that of its walls, so it is there before the program is, and has to let through what leads to it: execve,
and becoming another user. Neither gains anything: there are no capabilities, and no new privileges.
"""

import errno

from weft.host.seccomp import Rule

_CLONE, _CLONE3, _THREAD = 56, 435, 0x10000
_NEVER = (
    *(57, 58),  # fork, vfork
    *(101, 298, 310, 311),  # ptrace, perf_event_open, process_vm_readv, process_vm_writev
    *(109, 112, 141, 142, 144, 203, 314),  # setpgid, setsid, setpriority, sched_setparam and its like
    *(103, 155, 161, 165, 166, 167, 168, 169),  # syslog, pivot_root, chroot, mount, umount2, swapon, swapoff, reboot
    *(134, 136, 139, 156, 174, 177, 178),  # what is obsolete
    *(175, 176, 246, 313, 320),  # modules and other kernels
    *(248, 249, 250, 272, 308, 321, 323),  # keys, unshare, setns, bpf, userfaultfd
)

CONFINEMENT = [
    *(Rule(number, errno.EPERM) for number in _NEVER),
    Rule(_CLONE, errno.EPERM, argument=0, lacks=_THREAD),
    # Its flags are in memory, where no filter can look. Without it clone is used.
    Rule(_CLONE3, errno.ENOSYS),
]
"""A process stays one process, with threads."""
