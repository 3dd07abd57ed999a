"""A centre outside the machine: broker, `polycentre`, certificates, and a sender of HL7 v2 that remembers what was acknowledged."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from machine import free_port, wait_until

HUB = "image-test"
# QEMU's user network shows this machine to the guest under this address.
HOST_SEEN_BY_GUEST = "10.0.2.2"
ACCESS_LIST = """user centre
topic read polygate/1/+/up/+
topic read polygate/1/+/status
topic write polygate/1/+/receipt/+
topic write polygate/1/+/down/+
pattern write polygate/1/%u/up/+
pattern write polygate/1/%u/status
pattern read polygate/1/%u/receipt/+
pattern read polygate/1/%u/down/+
"""
START, END = b"\x0b", b"\x1c\x0d"


class Centre:
    """Broker and `polycentre` with its embedded store, in a folder."""

    def __init__(self, polycentre: Path, folder: Path):
        self.polycentre, self.folder, self.port = polycentre, folder, free_port()
        self.processes: list[subprocess.Popen] = []
        folder.mkdir()
        for arguments in (["init", folder], ["issue", "--centre", folder], ["issue", "--broker", HOST_SEEN_BY_GUEST, folder], ["issue", "--hub", HUB, folder]):
            subprocess.run([polycentre, "pki", *arguments], check=True, stdout=subprocess.DEVNULL)
        (folder / "acl").write_text(ACCESS_LIST)
        (folder / "mosquitto.conf").write_text(
            f"user root\nlistener {self.port} 127.0.0.1\ncafile {folder}/ca.pem\ncertfile {folder}/broker.pem\n"
            f"keyfile {folder}/broker.key\nrequire_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
            f"acl_file {folder}/acl\npersistence false\nlog_dest file {folder}/mosquitto.log\n"
        )
        (folder / "polycentre.toml").write_text(
            f'[broker]\nurl = "mqtts://127.0.0.1:{self.port}"\nca = "ca.pem"\ncertificate = "centre.pem"\nkey = "centre.key"\n'
            f'[store]\nembedded = "{folder}/store"\n'
        )

    def start(self) -> None:
        mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        log = (self.folder / "programs.log").open("ab")
        commands = ([mosquitto, "-c", self.folder / "mosquitto.conf"], [self.polycentre, "serve", "--config", self.folder / "polycentre.toml"])
        for command in commands:
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            time.sleep(1)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.processes = []

    def source_ids(self) -> list[str]:
        output = subprocess.run(
            [self.polycentre, "entries", "--json", "--config", self.folder / "polycentre.toml"], check=True, stdout=subprocess.PIPE
        ).stdout
        return [str(json.loads(line).get("source_id")) for line in output.splitlines()]

    def wait_for(self, identifiers: set[str], seconds: int = 180) -> list[str]:
        """Waits until all have arrived, and gives everything that has."""
        found: list[str] = []

        def arrived() -> bool:
            found[:] = self.source_ids()
            return identifiers <= set(found)

        wait_until(arrived, seconds, f"{len(identifiers)} messages at the centre")
        return found

    def stick(self, update_url: str = "") -> dict[str, bytes]:
        """What an installer puts onto the USB stick."""
        files = {name: (self.folder / name).read_bytes() for name in ("ca.pem", f"{HUB}.pem", f"{HUB}.key")}
        files["hub.toml"] = f"""[hub]
id = "{HUB}"
ods = "5LC01"
name = "Image test"
state = "/var/lib/polygate"

[centre]
broker = "mqtts://{HOST_SEEN_BY_GUEST}:{self.port}"
ca = "ca.pem"
certificate = "{HUB}.pem"
key = "{HUB}.key"
reconnect-max-seconds = 5

[portal]
listen = "127.0.0.1:8443"

[journal]
capacity-mib = 256
retain-mib = 64
floor-mib = 32
ballast-mib = 16

[[rio]]
name = "rio"
listen = "0.0.0.0:2575"
""".encode()
        if update_url:
            files["update-url"] = update_url.encode()
        return files


def admission(identifier: str) -> bytes:
    """An admission of an invented patient."""
    segments = [
        f"MSH|^~\\&|TRIAL|5LC01|POLYGATE|5LC01|20260105120000||ADT^A01^ADT_A01|{identifier}|P|2.4",
        "EVN|A01|20260105120000",
        "PID|1||9990000018^^^NHS^NH||EXAMPLE^JOAN||19700101|F",
        "PV1|1|O|CLINIC^1^1",
    ]
    return START + "\r".join(segments).encode() + b"\r" + END


def send(port: int, identifier: str, seconds: float = 20) -> str:
    """Sends one message on a connection of its own: the code it was acknowledged with, or "" for none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            return exchange(connection, identifier)
    except OSError:
        return ""


def exchange(connection: socket.socket, identifier: str) -> str:
    connection.sendall(admission(identifier))
    answer = b""
    while END not in answer:
        part = connection.recv(4096)
        if not part:
            return ""
        answer += part
    fields = next((line.split("|") for line in answer.decode().split("\r") if line.startswith("MSA")), [])
    return fields[1] if len(fields) > 2 and fields[2] == identifier else ""


class Load:
    """Sends messages one after another until it is told to stop or the connection dies."""

    def __init__(self, port: int, prefix: str):
        self.port, self.prefix, self.accepted = port, prefix, set()
        self.end = False

    def run(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
                number = 0
                while not self.end:
                    identifier = f"{self.prefix}-{number}"
                    if exchange(connection, identifier) == "AA":
                        self.accepted.add(identifier)
                    number += 1
        except OSError:
            return
