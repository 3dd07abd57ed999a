"""Holds HL7 v2 messages to hl7apy's strict validation.

Reads a list of messages; writes, for each, null or what is wrong with it."""

import json
import sys

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message


def fault(text):
    try:
        message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
        message.validate()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    # hl7apy knows no ERR-1 in 2.8, where it was withdrawn, and writes what follows it one place too early.
    if message.version.startswith("2.8") and "\rERR" in text:
        return None
    again = message.to_er7()
    if again.strip("\r") != text.strip("\r"):
        return f"comes out otherwise: {again!r}"
    return None


json.dump([fault(text) for text in json.load(sys.stdin)], sys.stdout)
