//! Serial lines: opening the right device and no other, and reading with a deadline. The only file that names
//! serialport.

use std::{
    fs, io,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits, TTYPort};

/// A read returns after this, with or without bytes: so often does the reader look whether it is to stop.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// How a line is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineSettings {
    /// Bits a second.
    pub baud: u32,
    /// 7 or 8.
    pub data_bits: u8,
    /// `none`, `odd` or `even`.
    pub parity: LineParity,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// The parity bit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineParity {
    /// There is none.
    None,
    /// Odd.
    Odd,
    /// Even.
    Even,
}

/// An open serial line.
#[derive(Debug)]
pub struct SerialLine {
    port: TTYPort,
}

impl SerialLine {
    /// Opens a device for this program alone, and empties what waited in it. Pseudo-terminals are devices too.
    ///
    /// # Errors
    /// There is none, another program has it, or it cannot be set so.
    pub fn open(device: &Path, settings: LineSettings) -> io::Result<Self> {
        let data_bits = if settings.data_bits == 7 { DataBits::Seven } else { DataBits::Eight };
        let stop_bits = if settings.stop_bits == 2 { StopBits::Two } else { StopBits::One };
        let parity = match settings.parity {
            LineParity::None => Parity::None,
            LineParity::Odd => Parity::Odd,
            LineParity::Even => Parity::Even,
        };
        let builder = serialport::new(device.to_string_lossy(), settings.baud)
            .data_bits(data_bits)
            .parity(parity)
            .stop_bits(stop_bits)
            .flow_control(FlowControl::None)
            .timeout(READ_WITHIN);
        let port = TTYPort::open(&builder).map_err(io::Error::from)?;
        port.clear(ClearBuffer::Input).map_err(io::Error::from)?;
        Ok(Self { port })
    }
}

impl Read for SerialLine {
    /// `TimedOut` if nothing came; `BrokenPipe` once the line is gone.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.port.read(buffer)
    }
}

impl Write for SerialLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.port.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.port.flush()
    }
}

/// What a device physically is: `usb-` with vendor, product, serial number and port path, as the kernel tells; none
/// for what is no USB device. A name such as `/dev/polygate/xn-550` may lead to another device after a replug; this
/// does not.
pub fn identity(device: &Path) -> Option<String> {
    let node = fs::canonicalize(device).ok()?;
    let name = node.file_name()?.to_str()?;
    let start = fs::canonicalize(Path::new("/sys/class/tty").join(name).join("device")).ok()?;
    let is_usb = |folder: &&Path| folder.join("idVendor").is_file();
    let usb = start.ancestors().find(is_usb)?;
    let read = |file: &str| fs::read_to_string(usb.join(file)).unwrap_or_default().trim().to_owned();
    let port = usb.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    Some(format!("usb-{}:{}:{}:{port}", read("idVendor"), read("idProduct"), read("serial")))
}

/// A pair of pseudo-terminals, for simulated instruments: the instrument's end, and the device the other end opens.
///
/// # Errors
/// The system gives none.
pub fn pseudo_terminal() -> io::Result<(PseudoTerminal, PathBuf)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let end = openpt(flags)?;
    grantpt(&end)?;
    unlockpt(&end)?;
    let name = ptsname(&end, Vec::new())?;
    let path = PathBuf::from(name.to_string_lossy().into_owned());
    // Raw, or the terminal would echo what the hub has not even read yet.
    let mut settings = tcgetattr(&end)?;
    settings.make_raw();
    tcsetattr(&end, OptionalActions::Now, &settings)?;
    // Kept open, so that the line is not hung up while nobody else has it open.
    let kept = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((PseudoTerminal { end: fs::File::from(end), _kept: kept.into() }, path))
}

/// The instrument's end of a simulated line. Dropping it hangs the line up.
#[derive(Debug)]
pub struct PseudoTerminal {
    end: fs::File,
    _kept: fs::File,
}

impl PseudoTerminal {
    /// Reads what has come within a time; `TimedOut` if nothing has.
    ///
    /// # Errors
    /// The system's.
    pub fn read_within(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize> {
        let mut ready = [rustix::event::PollFd::new(&self.end, rustix::event::PollFlags::IN)];
        let timeout = rustix::event::Timespec::try_from(within).map_err(io::Error::other)?;
        if rustix::event::poll(&mut ready, Some(&timeout))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.end.read(buffer)
    }
}

impl Write for PseudoTerminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.end.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: LineSettings =
        LineSettings { baud: 9600, data_bits: 8, parity: LineParity::None, stop_bits: 1 };

    #[test]
    fn bytes_cross_a_pseudo_terminal_unchanged_both_ways() {
        let (mut instrument, device) = pseudo_terminal().unwrap();
        let mut line = SerialLine::open(&device, SETTINGS).unwrap();
        let all: Vec<u8> = (0..=255).collect();
        instrument.write_all(&all).unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 64];
        while got.len() < all.len() {
            let count = line.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(got, all);
        line.write_all(&all).unwrap();
        let mut got = Vec::new();
        while got.len() < all.len() {
            let count = instrument.read_within(&mut buffer, Duration::from_secs(5)).unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(got, all);
        assert_eq!(line.read(&mut buffer).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(identity(&device), None, "a pseudo-terminal is no USB device");
    }

    #[test]
    fn a_line_that_is_hung_up_says_so_and_a_device_that_is_taken_too() {
        let (instrument, device) = pseudo_terminal().unwrap();
        let mut line = SerialLine::open(&device, SETTINGS).unwrap();
        assert!(SerialLine::open(&device, SETTINGS).is_err(), "one program a line");
        drop(instrument);
        let mut buffer = [0; 8];
        let kind = loop {
            match line.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                Err(error) => break error.kind(),
                Ok(count) => assert_ne!(count, 0, "an end that is no error would be read for ever"),
            }
        };
        assert_eq!(kind, io::ErrorKind::BrokenPipe);
        assert!(SerialLine::open(Path::new("/dev/polygate/none"), SETTINGS).is_err());
    }
}
