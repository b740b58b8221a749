"""Asks sigstore-python whether a keyless bundle is good for a file, offline: exit code 0 says yes, 3 says no and prints why.

    verify_bundle.py BUNDLE FILE TRUSTED_ROOT IDENTITY ISSUER

A bundle with a statement is good for a file that is its only subject.
"""

import hashlib
import json
import sys
from pathlib import Path

from sigstore.errors import VerificationError
from sigstore.models import Bundle, InvalidBundle, TrustedRoot
from sigstore.verify import Verifier, policy


def verify(verifier, bundle, artifact, rule):
    if bundle._dsse_envelope is None:
        verifier.verify_artifact(artifact, bundle, rule)
        return
    kind, payload = verifier.verify_dsse(bundle, rule)
    subjects = [subject["digest"] for subject in json.loads(payload)["subject"]]
    if kind != "application/vnd.in-toto+json" or subjects != [{"sha256": hashlib.sha256(artifact).hexdigest()}]:
        raise VerificationError(f"a statement of type {kind} about {subjects}")


def main(bundle, artifact, trusted_root, identity, issuer):
    verifier = Verifier(trusted_root=TrustedRoot.from_file(trusted_root))
    rule = policy.Identity(identity=identity, issuer=issuer)
    text, artifact = Path(bundle).read_bytes(), Path(artifact).read_bytes()
    try:
        verify(verifier, Bundle.from_json(text), artifact, rule)
    except (VerificationError, InvalidBundle) as refusal:
        print(f"{type(refusal).__name__}: {refusal}")
        sys.exit(3)


main(*sys.argv[1:])
