# The boot sector that finds out whether an accelerator can run a 64-bit kernel. It does in 512 bytes what every kernel
# does in its first moments: long mode, paging, its own exceptions, model-specific registers, user mode and back.
# If all of it went right it says IMAGEWRIGHT-64 on the first serial port and ends QEMU through isa-debug-exit (85).
#
#   as --64 -o probe.o accelerator_probe.S && ld -Ttext 0x7c00 --oformat binary -o probe.bin probe.o

        .set PML4, 0x1000
        .set PDPT, 0x2000
        .set PD,   0x3000
        .set IDT,  0x4000
        .set TSS,  0x6000

        .code16
        .globl _start
_start: ljmp $0, $1f
1:      cli
        cld
        xorw %ax, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movw $0x7c00, %sp
        movw $PML4, %di                 # tables, all zero at first
        movw $0x3000, %cx
        rep stosw
        movw $PDPT | 7, PML4            # present, writable, for users too
        movw $PD | 7, PDPT
        movw $0x87, PD                  # one page of 2 MiB, mapped one to one
        lgdt gdtr
        movl %cr4, %eax
        orl $0x20, %eax                 # PAE
        movl %eax, %cr4
        movl $PML4, %eax
        movl %eax, %cr3
        movl $0xc0000080, %ecx          # EFER: long mode, syscall
        rdmsr
        orw $0x101, %ax
        wrmsr
        movl %cr0, %eax
        orl $0x80010001, %eax           # paging, write protection, protected mode
        movl %eax, %cr0
        ljmp $0x08, $long

        .code64
long:   movl $0x10, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl $0x7c00, %esp
        movl $TSS, %eax                 # the stack of exceptions that come from user mode
        movl $0x7000, 4(%rax)
        movl $0x28, %eax
        ltr %ax
        movl $IDT + 3 * 16, %edi        # int3, page fault
        movl $trap, %eax
        call gate
        movl $IDT + 14 * 16, %edi
        movl $fault, %eax
        call gate
        lidt idtr
        xorl %ebx, %ebx                 # counts what went right
        int3
        movl $0x40000000, %esi          # not mapped: the page fault maps it
        movzwl 0x7dfe(%rsi), %eax
        cmpl $0xaa55, %eax
        jne fail
        movq %cr3, %rax
        movq %rax, %cr3
        invlpg (%rsi)
        movl $0xc0000102, %ecx          # kernel GS base, exchanged with GS base
        movl $0x12345678, %eax
        xorl %edx, %edx
        wrmsr
        swapgs
        decl %ecx
        xorl %eax, %eax
        rdmsr
        cmpl $0x12345678, %eax
        jne fail
        swapgs
        cmpl $2, %ebx
        jne fail
        xorl %eax, %eax
        cpuid                           # ebx is lost: the count starts again
        xorl %ebx, %ebx
        movl $0xc0000081, %ecx          # STAR, LSTAR: where syscall goes
        xorl %eax, %eax
        movl $0x00100008, %edx
        wrmsr
        incl %ecx
        xorl %edx, %edx
        movl $back, %eax
        wrmsr
        movl $user, %ecx
        movl $2, %r11d
        sysretq

user:   int3
        syscall

back:   decl %ebx                       # the int3 of user mode
        jnz fail
        movl $text, %esi
        movw $0x3f8, %dx
1:      lodsb
        outb %al, %dx
        cmpb $10, %al
        jne 1b
        movb $42, %al
        jmp 2f
fail:   movb $1, %al
2:      outb %al, $0xf4
3:      hlt
        jmp 3b

trap:   incl %ebx
        iretq

fault:  movl $PD | 7, PDPT + 8
        incl %ebx
        addq $8, %rsp
        iretq

gate:   movw %ax, (%rdi)                # the handler's address, below 64 KiB
        movw $0x08, 2(%rdi)
        movw $0xee00, 4(%rdi)           # 64-bit interrupt gate, users may
        ret

        .align 8
gdt:    .quad 0
        .quad 0x00af9b000000ffff        # 08 code
        .quad 0x00cf93000000ffff        # 10 data
        .quad 0x00cff3000000ffff        # 18 data of users
        .quad 0x00affb000000ffff        # 20 code of users
        .quad 0x0000890060000067        # 28 the task state at 0x6000
        .quad 0
gdtr:   .word . - gdt - 1
        .long gdt
idtr:   .word 0xfff
        .quad IDT
text:   .ascii "IMAGEWRIGHT-64\n"

        .org 510
        .word 0xaa55
