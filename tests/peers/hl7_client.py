"""Sends HL7 v2 messages with the MLLP client of python-hl7, over one connection.

Argument: the port. Reads a list of messages; writes, for each, what the answer says, read by python-hl7."""

import json
import sys

import hl7
from hl7.client import MLLPClient


def said(answer):
    message = hl7.parse(answer.decode("utf-8").strip("\x0b\x1c\r"))
    msa = message.segment("MSA")
    return {
        "code": str(msa(1)),
        "control_id": str(msa(2)),
        "type": str(message["MSH.F9.R1.C1"]),
        "trigger": str(message["MSH.F9.R1.C2"]),
        "to": str(message["MSH.F5"]),
        "errors": sum(1 for segment in message if str(segment(0)) == "ERR"),
    }


messages = json.load(sys.stdin)
with MLLPClient("127.0.0.1", int(sys.argv[1])) as client:
    json.dump([said(client.send_message(text)) for text in messages], sys.stdout)
