"""Takes HL7 v2 messages with the asyncio MLLP server of python-hl7, and answers them with its acknowledgements.

Arguments: the port, and a file to which the control id of each message is added. A message whose control id ends in -E
is answered AE, one that ends in -R with AR."""

import asyncio
import sys

import hl7
from hl7.mllp import start_hl7_server


async def serve(reader, writer):
    try:
        while not reader.at_eof():
            message = await reader.readmessage()
            control_id = str(message["MSH.F10"])
            with open(sys.argv[2], "a", encoding="utf-8") as log:
                log.write(control_id + "\n")
            code = {"-E": "AE", "-R": "AR"}.get(control_id[-2:], "AA")
            writer.writemessage(message.create_ack(code))
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


async def main():
    server = await start_hl7_server(serve, host="127.0.0.1", port=int(sys.argv[1]), encoding="utf-8")
    async with server:
        await server.serve_forever()


asyncio.run(main())
