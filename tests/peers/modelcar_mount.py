"""Runs a command beside a process that stands for KServe's modelcar container.

Usage: modelcar_mount.py ROOT LINK COMMAND...

ROOT is the root file system of an image, with the model in ROOT/models. A child gets a mount namespace of its own and ROOT for its root,
as a container would. LINK is made as KServe's sidecar makes /mnt/models: a symbolic link to /proc/PID/root/models. The command sees the
model through it, in a mount namespace that has no /models. Exits as the command does, or with 77 where the kernel allows no
namespaces. Needs root, and no container engine.
"""

import ctypes
import os
import subprocess
import sys

CLONE_NEWNS = 0x20000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
MNT_DETACH = 2
NOT_ALLOWED = 77

libc = ctypes.CDLL("libc.so.6", use_errno=True)


def check(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def enter(root):
    """Makes `root` the root of a new mount namespace."""
    check(libc.unshare(CLONE_NEWNS))
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
    check(libc.mount(os.fsencode(root), os.fsencode(root), None, MS_BIND | MS_REC, None))
    os.chdir(root)
    # the old root lands on top of the new one and is taken off: pivot_root(2), "pivot_root(".", ".")"
    check(libc.pivot_root(b".", b"."))
    check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def modelcar(root, ready, alive):
    """The sidecar: says whether it is in place, and stays until nobody holds `alive` any more."""
    try:
        enter(root)
    except OSError as error:
        os.write(ready, str(error).encode())
        os._exit(NOT_ALLOWED)
    os.write(ready, b"ready")
    os.read(alive, 1)
    os._exit(0)


def start(root):
    """The process id of a modelcar, and what keeps it alive."""
    (is_ready, ready), (alive, keep) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(keep)
        modelcar(root, ready, alive)
    answer = os.read(is_ready, 1000).decode()
    if answer != "ready":
        print(f"no mount namespace: {answer}", file=sys.stderr)
        sys.exit(NOT_ALLOWED)
    return pid, keep


def main(root, link, *command):
    if os.path.exists("/models"):
        sys.exit("/models exists on this machine, so the link would lead somewhere after all")
    pid, keep = start(os.path.abspath(root))
    os.symlink(f"/proc/{pid}/root/models", link)
    try:
        status = subprocess.run(command, check=False).returncode
    finally:
        os.remove(link)
        os.close(keep)
        os.waitpid(pid, 0)
    sys.exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
