"""rh-model-signing on an image of a test registry: rh_model_signing.py sign|sign-by-tag|verify IMAGE KEY

Two things stand between it and a registry on loopback. It has no option for plain HTTP. And it believes the artifact types in the list of
referrers, where go-containerregistry's registry puts the config's media type; so here the list says what the manifests say, as the OCI
specification wants.

Exit status: 0 signed or accepted, 3 refused, anything else: the question could not be asked.
"""

import sys
from pathlib import Path

from model_signing import signing, verifying
from model_signing._oci import registry


class LoopbackClient(registry.OrasClient):
    def __init__(self):
        super().__init__(insecure=True)

    def get_referrers(self, image_ref, artifact_type=None):
        found = super().get_referrers(image_ref)
        manifests = [(entry, self.get_manifest(image_ref.with_digest(entry["digest"]))[0]) for entry in found]
        return [entry for entry, manifest in manifests if artifact_type in (None, manifest.get("artifactType"))]


registry.OrasClient = LoopbackClient

verb, image, key = sys.argv[1:]
if verb == "verify":
    try:
        verifying.Config().use_elliptic_key_verifier(public_key=Path(key)).verify_image(image)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
else:
    mode = {"sign": "referrers", "sign-by-tag": "tag"}[verb]
    signing.Config().use_elliptic_key_signer(private_key=Path(key)).sign_image(image, attachment_mode=mode)
