/*
 * Entry of the test kernel: the multiboot header (version 1 of the specification), a stack, and the way into C.
 *
 * With AOUT the file starts like a Plan 9 executable, and the header says itself what goes where, since a boot loader
 * does not know that format ("a.out kludge", flag 16). Without it the file is a 32-bit ELF.
 */
#define MAGIC 0x1BADB002
#define PAGES_AND_MEMORY 3	/* modules on page boundaries; tell about memory */

#ifdef AOUT
#define FLAGS (PAGES_AND_MEMORY | 1 << 16)
#else
#define FLAGS PAGES_AND_MEMORY
#endif

	.section .head, "a"
#ifdef AOUT
	/* What Plan 9's linker writes, big endian: magic of a 386, text, data, bss, symbols, entry, two tables. */
	.byte 0, 0, 1, 0xEB
	.fill 28, 1, 0
#endif
	.align 4
header:
	.long MAGIC, FLAGS, -(MAGIC + FLAGS)
#ifdef AOUT
	.long header, header, kernel_loaded_end, kernel_end, start
#endif

	.text
	.global start
start:
	cli
	cld
	mov $stack_top, %esp
	push %ebx		/* what the boot loader tells */
	push %eax		/* its magic number */
	lgdt table
	ljmp $8, $reload
reload:
	mov $16, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %fs
	mov %ax, %gs
	mov %ax, %ss
	call main
1:	hlt
	jmp 1b

	/* One handler for the timer: it counts and says that it has seen it. */
	.global on_tick
on_tick:
	push %eax
	incl ticks
	mov $0x20, %al
	out %al, $0x20
	pop %eax
	iret

	.section .rodata
	.align 8
descriptors:
	.quad 0
	.quad 0x00CF9A000000FFFF	/* code, all memory */
	.quad 0x00CF92000000FFFF	/* data, all memory */
table:
	.word table - descriptors - 1
	.long descriptors

	.bss
	.align 16
	.skip 16384
stack_top:
