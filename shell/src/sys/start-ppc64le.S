# POWER, little endian, ELFv2: process entry, and the system call with up to four arguments (number, a, b, c, d).
    .abiversion 2
    .text
    .globl _start
    .type _start, @function
_start:
0:  addis 2, 12, .TOC. - 0b@ha          # the kernel enters with our address in r12 (ELFv2 2.3.2)
    addi 2, 2, .TOC. - 0b@l
    mr 3, 1
    clrrdi 1, 1, 4
    li 0, 0
    stdu 0, -32(1)
    mtlr 0
    bl main_on_stack
    nop

    .globl syscall4
    .type syscall4, @function
syscall4:
    mr 0, 3
    mr 3, 4
    mr 4, 5
    mr 5, 6
    mr 6, 7
    sc
    bnslr+                              # summary overflow clear: success
    neg 3, 3                            # POWER returns a positive errno
    blr
    .section .note.GNU-stack, "", @progbits
