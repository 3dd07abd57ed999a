"""Holds XML documents to a schema, with xmlschema.

Arguments: the schema, and more schemas that only have to load. Reads a list of documents; writes, for each, null or what
is wrong with it."""

import json
import sys

import xmlschema


def fault(schema, text):
    error = next(schema.iter_errors(text), None)
    return None if error is None else f"{error.path}: {error.reason}"


schema = xmlschema.XMLSchema(sys.argv[1])
for other in sys.argv[2:]:
    xmlschema.XMLSchema(other)
json.dump([fault(schema, text) for text in json.load(sys.stdin)], sys.stdout)
