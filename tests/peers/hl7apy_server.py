"""Takes HL7 v2 messages with hl7apy's MLLP server, which closes its connection after each, and reads each strictly.

Arguments: the port, and a file to which the control id of each message is added. What is not strictly valid is answered
AR."""

import sys

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

KINDS = ["ADT^%s^%s" % pair for pair in [
    ("A01", "ADT_A01"), ("A02", "ADT_A02"), ("A03", "ADT_A03"), ("A04", "ADT_A01"), ("A05", "ADT_A05"),
    ("A08", "ADT_A01"), ("A11", "ADT_A09"), ("A13", "ADT_A01"), ("A28", "ADT_A05"), ("A31", "ADT_A05"),
]] + ["SIU^S%d^SIU_S12" % number for number in (12, 13, 14, 15, 26)] + ["ORU^R01^ORU_R01"]


class Filing(AbstractHandler):
    def reply(self):
        code = "AA"
        try:
            message = parse_message(self.incoming_message, validation_level=VALIDATION_LEVEL.STRICT)
            message.validate()
        except Exception:
            code = "AR"
            message = parse_message(self.incoming_message)
        control_id = message.msh.msh_10.value
        with open(sys.argv[2], "a", encoding="utf-8") as log:
            log.write(f"{control_id} {code}\n")
        answer = Message("ACK", version=message.version)
        answer.msh.msh_9 = "ACK"
        answer.msh.msh_10 = f"ACK{control_id}"
        answer.msh.msh_11 = "P"
        answer.msa.msa_1 = code
        answer.msa.msa_2 = control_id
        return answer.to_mllp()


MLLPServer("127.0.0.1", int(sys.argv[1]), {kind: (Filing,) for kind in KINDS}).serve_forever()
