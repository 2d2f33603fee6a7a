/* Starts a Linux kernel by its PVH entry for a boot loader that knows multiboot and not PVH, as iPXE does.
 *
 * It is a segment of the ELF file that weft.image.multiboot makes of a kernel, at a fixed address in low memory. It makes
 * of multiboot's facts (Multiboot Specification 0.6.96, 3.3) those of PVH (Xen, docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h). The kernel reads them before it makes use of the memory that they are in.
 * There is no stack: neither side promises one. */

	.set MULTIBOOT_MAGIC, 0x1badb002
	.set MULTIBOOT_FLAGS, 3 /* modules at pages, and a map of memory */
	.set HAS_MODULES, 8
	.set MOST_RANGES, 64

	/* Offsets in multiboot's facts. */
	.set CMDLINE, 16
	.set MODULE_COUNT, 20
	.set MODULES, 24
	.set MAP_LENGTH, 44
	.set MAP, 48

	.code32
	.text
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
kernel_entry:
	.long 0 /* written by weft.image.multiboot */

	.globl _start
_start:
	cli
	cld

	/* The map of memory: the same entries, of which multiboot says the size before, and PVH has a word behind. */
	movl	$ranges, %edi
	movl	MAP(%ebx), %esi
	movl	MAP_LENGTH(%ebx), %ecx
	addl	%esi, %ecx
	xorl	%edx, %edx
next_range:
	cmpl	%ecx, %esi
	jae	end_of_map
	cmpl	$MOST_RANGES, %edx
	jae	end_of_map
	lodsl
	leal	(%esi,%eax), %ebp
	movsl
	movsl
	movsl
	movsl
	movsl
	xorl	%eax, %eax
	stosl
	incl	%edx
	movl	%ebp, %esi
	jmp	next_range
end_of_map:
	movl	%edx, range_count

	/* The first module is the initramfs; Linux takes no other. */
	testl	$HAS_MODULES, (%ebx)
	jz	no_module
	cmpl	$0, MODULE_COUNT(%ebx)
	je	no_module
	movl	MODULES(%ebx), %esi
	lodsl
	movl	%eax, module
	negl	%eax
	addl	(%esi), %eax
	movl	%eax, module + 8
	movl	$1, module_count
no_module:

	/* The command line without its first word, which is the kernel's name. */
	movl	CMDLINE(%ebx), %esi
next_character:
	lodsb
	cmpb	$' ', %al
	je	end_of_name
	testb	%al, %al
	jnz	next_character
	decl	%esi
end_of_name:
	movl	%esi, command_line

	movl	$start_info, %ebx
	jmp	*kernel_entry

	.balign 8
start_info:
	.long 0x336ec578, 1, 0 /* magic, version, flags */
module_count:
	.long 0
	.long module, 0
command_line:
	.long 0, 0
	.long 0, 0 /* ACPI's tables: Linux looks for them itself */
	.long ranges, 0
range_count:
	.long 0, 0
module:
	.long 0, 0, 0, 0, 0, 0, 0, 0
ranges:
	.fill MOST_RANGES * 24
