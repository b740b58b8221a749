// AArch64: process entry, and the system call with up to four arguments (number, a, b, c, d).
    .text
    .globl _start
_start:
    mov x29, #0
    mov x30, #0
    mov x0, sp
    b main_on_stack

    .globl syscall4
syscall4:
    mov x8, x0
    mov x0, x1
    mov x1, x2
    mov x2, x3
    mov x3, x4
    svc #0
    ret
    .section .note.GNU-stack, "", %progbits
