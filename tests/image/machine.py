"""A virtual machine with UEFI, a TPM and a serial console: what the image's tests boot."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# Emulation is slow and these machines are loaded; a boot takes one to two minutes.
BOOT_SECONDS = 420
# KVM only when it is asked for: the device may be there and hang. One processor: with more, emulated ones wait for each
# other's timers now and then, and a kernel stands still.
ACCELERATION = os.environ.get("POLYGATE_IMAGE_ACCELERATION", "tcg")


class Failed(Exception):
    """What a test expected did not happen."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Machine:
    """One machine's disk, firmware variables and TPM, in a folder; and QEMU while it runs."""

    def __init__(self, tools: Path, folder: Path, disk: Path, secure_boot: bool = False):
        self.tools, self.folder, self.secure_boot = tools, folder, secure_boot
        self.disk = folder / "disk.raw"
        folder.mkdir(parents=True)
        copy_sparse(disk, self.disk)
        (folder / "tpm").mkdir()
        shutil.copy(tools / "usr/share/OVMF/OVMF_VARS_4M.fd", folder / "vars.fd")
        self.ports: dict[int, int] = {}
        self.processes: list[subprocess.Popen] = []
        self.stick: Path | None = None
        self.boots = 0

    def twin(self, folder: Path) -> "Machine":
        """A copy of this machine as it is now; it must be off."""
        copied = Machine(self.tools, folder, self.disk, self.secure_boot)
        shutil.copytree(self.folder / "tpm", folder / "tpm", dirs_exist_ok=True)
        shutil.copy(self.folder / "vars.fd", folder / "vars.fd")
        return copied

    def forget_tpm(self) -> None:
        """As if the board had been replaced: the TPM knows none of its keys."""
        shutil.rmtree(self.folder / "tpm")
        (self.folder / "tpm").mkdir()

    def start(self, script: str = "", watchdog: bool = False, memory_mib: int = 512) -> None:
        """Powers on; `script` is run on the machine by its shell once it is up, and writes to the console."""
        self.boots += 1
        # The trusted module's and the machine's sockets are short names: socket paths have a limit.
        self._spawn("swtpm", "socket", "--tpm2", "--tpmstate", "dir=/mnt/tpm", "--ctrl", "type=unixio,path=/mnt/s", "--terminate")
        wait_until(lambda: (self.folder / "s").exists(), 20, "swtpm started")
        self.ports = {port: free_port() for port in (2575, 8443)}
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in self.ports.items())
        code = "OVMF_CODE_4M.secboot.fd" if self.secure_boot else "OVMF_CODE_4M.fd"
        arguments = [
            "qemu-system-x86_64", "-accel", ACCELERATION, "-cpu", "max", "-smp", "1", "-m", str(memory_mib),
            "-machine", f"q35,smm={'on' if self.secure_boot else 'off'}", "-uuid", "7f6b1a52-9d5b-4c7e-9f0e-2f3f6a5b4c3d",
            "-drive", f"if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/{code}",
            "-drive", "if=pflash,format=raw,file=/mnt/vars.fd",
            "-drive", "if=virtio,format=raw,file=/mnt/disk.raw,cache=unsafe,discard=unmap",
            "-chardev", "socket,id=tpm,path=/mnt/s", "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm",
            "-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-rng-pci", "-device", "qemu-xhci,id=usb",
            "-display", "none", "-monitor", "none", "-qmp", "unix:/mnt/q,server=on,wait=off",
            "-serial", f"file:/mnt/console-{self.boots}.log",
        ]  # fmt: skip
        if self.secure_boot:
            arguments += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        if watchdog:
            # At an address of its own: what is behind it would move, and the firmware would look for the disk where it was.
            arguments += ["-device", "i6300esb,addr=0x1d", "-action", "watchdog=reset"]
        if self.stick:
            arguments += ["-drive", "if=none,id=stick,format=raw,file=/mnt/stick.img", "-device", "usb-storage,drive=stick,bus=usb.0"]
        if script:
            (self.folder / "unit").write_text("io.systemd.credential.binary:systemd.extra-unit.polygate-test.service=" + unit_of(script))
            (self.folder / "wants").write_text(
                "io.systemd.credential.binary:systemd.unit-dropin.multi-user.target="
                + base64.b64encode(b"[Unit]\nWants=polygate-test.service\n").decode()
            )
            arguments += ["-smbios", "type=11,path=/mnt/unit", "-smbios", "type=11,path=/mnt/wants"]
        self._spawn(*arguments)

    def _spawn(self, *arguments: str) -> None:
        log = (self.folder / "programs.log").open("ab")
        self.processes.append(subprocess.Popen(self._command(*arguments), stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def insert(self, files: dict[str, bytes]) -> None:
        """A USB stick named POLYGATE with these files, from the next start on."""
        self.stick = self.folder / "stick.img"
        self.stick.unlink(missing_ok=True)
        with self.stick.open("wb") as image:
            image.truncate(32 << 20)
        self.in_tools("mkfs.vfat", "-n", "POLYGATE", "/mnt/stick.img")
        for name, content in files.items():
            (self.folder / "item").write_bytes(content)
            self.in_tools("mcopy", "-i", "/mnt/stick.img", "/mnt/item", f"::{name}")

    def read_stick(self, name: str) -> bytes:
        self.in_tools("mcopy", "-o", "-i", "/mnt/stick.img", f"::{name}", "/mnt/item")
        return (self.folder / "item").read_bytes()

    def in_tools(self, *arguments: str) -> None:
        """Runs a program of the tools chroot to its end."""
        subprocess.run(self._command(*arguments), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _command(self, *arguments: str) -> list[str]:
        """A program of the tools chroot, with this machine's folder as /mnt; its mounts end with it."""
        script = (
            'mount --bind "$1" "$1"; mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount --bind "$2" "$1/mnt"; '
            'root=$1; shift 2; exec chroot "$root" "$@"'
        )
        isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        return [*isolated, "bash", "-euc", script, "machine", str(self.tools), str(self.folder), *arguments]

    def console(self) -> str:
        path = self.folder / f"console-{self.boots}.log"
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def expect(self, pattern: str, seconds: int = BOOT_SECONDS, count: int = 1) -> re.Match:
        """The `count`th time `pattern` stands on the console of this power-on."""
        deadline = time.monotonic() + seconds
        while True:
            found = list(re.finditer(pattern, self.console()))
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() > deadline:
                raise Failed(f"not on the console within {seconds} s: {pattern}\n{self.console()[-3000:]}")
            if not self.running():
                raise Failed(f"the machine is off before: {pattern}\n{self.console()[-3000:]}")
            time.sleep(0.5)

    def running(self) -> bool:
        return self.processes != [] and self.processes[-1].poll() is None

    def wait_off(self, seconds: int = BOOT_SECONDS) -> None:
        wait_until(lambda: not self.running(), seconds, "powered off")
        self.cut()

    def reset(self) -> None:
        """The reset button: nothing is told to the system."""
        self._qmp("system_reset")

    def _qmp(self, command: str) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.folder / "q"))
            stream = monitor.makefile("rw")
            stream.readline()
            for execute in ("qmp_capabilities", command):
                stream.write(json.dumps({"execute": execute}) + "\n")
                stream.flush()
                stream.readline()

    def cut(self) -> None:
        """Cuts the power."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        self.processes = []
        for name in ("s", "q"):
            (self.folder / name).unlink(missing_ok=True)


def unit_of(script: str) -> str:
    encoded = base64.b64encode(script.encode()).decode()
    unit = f"""[Unit]
After=multi-user.target boot-complete.target
DefaultDependencies=no
[Service]
Type=exec
ExecStart=/bin/bash -c 'echo {encoded} | base64 -d | bash 2>&1'
StandardOutput=journal+console
StandardError=journal+console
"""
    return base64.b64encode(unit.encode()).decode()


def copy_sparse(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)


def wait_until(condition, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.3)
