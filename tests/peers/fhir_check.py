"""Holds FHIR resources to the models of fhir.resources.

Argument: STU3 or R4B. Reads a list of resources; writes, for each, null or what is wrong with it."""

import importlib
import json
import sys

version = sys.argv[1]


def fault(resource):
    kind = resource.get("resourceType")
    try:
        module = importlib.import_module(f"fhir.resources.{version}.{kind.lower()}")
        getattr(module, kind).model_validate_json(json.dumps(resource))
    except Exception as error:
        return f"{kind}: {type(error).__name__}: {error}"
    return None


json.dump([fault(resource) for resource in json.load(sys.stdin)], sys.stdout)
