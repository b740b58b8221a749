# x86-64: process entry, and the system call with up to four arguments (number, a, b, c, d).
    .text
    .globl _start
_start:
    xor %ebp, %ebp
    mov %rsp, %rdi
    and $-16, %rsp
    call main_on_stack

    .globl syscall4
syscall4:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    syscall
    ret
    .section .note.GNU-stack, "", @progbits
