"""Judges documents by their official schemas.

`attestations.py bom FILE…`: CycloneDX 1.6, by the JSON schema that cyclonedx-python-lib brings.
`attestations.py statement FILE…`: in-toto statements, and SLSA provenance in them, by in-toto's protobuf types, read strictly.
"""

import importlib.resources
import json
import sys

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1 import statement_pb2
from jsonschema import Draft7Validator
from referencing import Registry, Resource


def bom(text):
    folder = importlib.resources.files("cyclonedx.schema._res")
    load = lambda name: json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text())
    names = ["spdx", "jsf-0.82", "cryptography-defs"]
    resources = [(f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", Resource.from_contents(load(name))) for name in names]
    validator = Draft7Validator(load("bom-1.6"), registry=Registry().with_resources(resources))
    for error in validator.iter_errors(json.loads(text)):
        sys.exit(f"{error.json_path}: {error.message}")


def statement(text):
    parsed = json_format.Parse(text, statement_pb2.Statement())
    found = Statement.copy_from_pb(parsed)
    # names are optional for verifiers of images, and cosign writes none
    for subject in found.pb.subject:
        subject.name = subject.name or "image"
    found.validate()
    if found.pb.predicate_type == "https://slsa.dev/provenance/v1":
        provenance(json_format.MessageToDict(found.pb.predicate))


def provenance(predicate):
    parsed = json_format.ParseDict(predicate, provenance_pb2.Provenance())
    definition, details = parsed.build_definition, parsed.run_details
    if not (definition.build_type and definition.external_parameters.fields and details.builder.id):
        sys.exit("a member that SLSA requires is missing")
    if not all(dependency.uri or dependency.digest for dependency in definition.resolved_dependencies):
        sys.exit("a dependency is named by nothing")
    if details.metadata.started_on.ToSeconds() > details.metadata.finished_on.ToSeconds():
        sys.exit("it ended before it began")


judge = {"bom": bom, "statement": statement}[sys.argv[1]]
for path in sys.argv[2:]:
    with open(path) as file:
        judge(file.read())
