#!/usr/bin/env python3
"""Makes the encrypted keys of this folder with PyNaCl and hashlib: an implementation other than modelcar's.

usage: make.py PKCS8_DER   (writes n32768.key, n65536.key, n131072.key, empty.key, expensive.key)
"""
import base64, hashlib, json, os, sys, textwrap

import nacl.secret


def b64(data):
    return base64.b64encode(data).decode()


def write(name, label, pkcs8, password, n, claimed=None):
    salt, nonce = os.urandom(32), os.urandom(24)
    key = hashlib.scrypt(password, salt=salt, n=n, r=8, p=1, dklen=32, maxmem=1 << 28)
    sealed = nacl.secret.SecretBox(key).encrypt(pkcs8, nonce).ciphertext
    body = json.dumps({
        "kdf": {"name": "scrypt", "params": {"N": claimed or n, "r": 8, "p": 1}, "salt": b64(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": b64(nonce)},
        "ciphertext": b64(sealed),
    }, separators=(",", ":")).encode()
    lines = "\n".join(textwrap.wrap(b64(body), 64))
    with open(name, "w") as file:
        file.write(f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")


pkcs8 = open(sys.argv[1], "rb").read()
write("n32768.key", "ENCRYPTED COSIGN PRIVATE KEY", pkcs8, b"test-password", 32768)
write("n65536.key", "ENCRYPTED SIGSTORE PRIVATE KEY", pkcs8, b"test-password", 65536)
write("n131072.key", "ENCRYPTED SIGSTORE PRIVATE KEY", pkcs8, b"test-password", 131072)
write("empty.key", "ENCRYPTED SIGSTORE PRIVATE KEY", pkcs8, b"", 65536)
write("expensive.key", "ENCRYPTED SIGSTORE PRIVATE KEY", pkcs8, b"test-password", 32768, claimed=1 << 30)
