"""Builds HL7 v2 messages with hl7apy, validated strictly, and sends each over a connection of its own.

Argument: the port. Reads a list of objects, segment name to list of [field, value], with `structure` and `version`
beside them; writes, for each, the answer's MSA-1 and MSA-2 as hl7apy reads them."""

import json
import socket
import sys

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message


def built(wanted):
    message = Message(wanted["structure"], version=wanted["version"], validation_level=VALIDATION_LEVEL.STRICT)
    for name, fields in wanted["segments"]:
        segment = message.msh if name == "MSH" else message.add_segment(name)
        for field, value in fields:
            setattr(segment, f"{name.lower()}_{field}", value)
    message.validate()
    return message


def send(message):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as connection:
        connection.sendall(message.to_mllp().encode("utf-8"))
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            more = connection.recv(65536)
            assert more, "the listener hung up"
            answer += more
    read = parse_message(answer[1:-2].decode("utf-8"), validation_level=VALIDATION_LEVEL.STRICT)
    return {"code": read.msa.msa_1.value, "control_id": read.msa.msa_2.value}


json.dump([send(built(wanted)) for wanted in json.load(sys.stdin)], sys.stdout)
