/* File systems: the kernel's own, the root with its overlay, and what the configuration adds. */
#pragma once

#include <stddef.h>

#include "config.h"

void mount_kernel_filesystems(void);

/* Makes the configured root `/`; the initramfs is emptied. Without a root, the initramfs stays. What is to be in /etc is in
 * the overlay then, if there is one, unless the configuration is a template's. */
void mount_root(const struct config *config);

/* What every machine has below the final root: /dev/pts, /dev/shm, control groups. */
void mount_devices(void);

/* What a machine has as its configuration says: /run, /tmp, and further file systems. */
void mount_rest(const struct config *config);

void make_root_read_only(void);

/* Writes back and detaches what can be written to. */
void unmount_all(void);

/* The path of the block device with this serial number; ends the machine when none comes within 5 s. */
void wait_for_device(const char *serial, char *device, size_t room);
