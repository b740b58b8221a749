"""Reads a model back from a Model Registry with the registry's own client, and prints what it finds as JSON.

    read_model_registry.py URL MODEL VERSION [add URI]

`add` registers the version first, as a notebook would.
"""

import json
import sys
import warnings

from model_registry import ModelRegistry


def main(url, model, version, *add):
    warnings.simplefilter("ignore")
    registry = ModelRegistry(url, author="Ada", user_token="none")
    if add:
        registry.register_model(
            model, add[1], version=version, model_format_name="onnx", model_format_version="1", metadata={"team": "vision"}
        )
    registered = registry.get_registered_model(model)
    found = registry.get_model_version(model, version)
    artifact = registry.get_model_artifact(model, version)
    print(
        json.dumps(
            {
                "models": [one.name for one in registry.get_registered_models()],
                "versions": [one.name for one in registry.get_model_versions(model)],
                "owner": registered.owner,
                "author": found.author,
                "description": found.description,
                "versionProperties": found.custom_properties,
                "uri": artifact.uri,
                "format": artifact.model_format_name,
                "state": artifact.state,
                "properties": artifact.custom_properties,
                "source": [
                    artifact.model_source_kind,
                    artifact.model_source_class,
                    artifact.model_source_group,
                    artifact.model_source_id,
                    artifact.model_source_name,
                ],
            },
            sort_keys=True,
        )
    )


main(*sys.argv[1:])
