# IBM Z: process entry, and the system call with up to four arguments (number, a, b, c, d).
    .text
    .globl _start
_start:
    lgr %r2, %r15
    aghi %r15, -160                     # the register save area every callee expects
    xc 0(8, %r15), 0(%r15)
    jg main_on_stack

    .globl syscall4
syscall4:
    lgr %r1, %r2
    lgr %r2, %r3
    lgr %r3, %r4
    lgr %r4, %r5
    lgr %r5, %r6
    svc 0
    br %r14
    .section .note.GNU-stack, "", @progbits
