//! A laboratory analyser at the end of a line: it measures, sends, and behaves as analysers do, badly too.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    codec::lis2::link::{Action, Conversation, Framing, Role, Verdict},
    domain::time::Timestamp,
    sys::{entropy::Entropy, serial::PseudoTerminal},
    systems::mesh::local_digits,
};

use super::people::Person;

/// Reads return after this, so that deadlines are kept.
const READ_WITHIN: Duration = Duration::from_millis(20);
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a haematology analyser measures: code, units, from, to, decimals.
const TESTS: [(&str, &str, f64, f64, usize); 7] = [
    ("WBC", "10*9/L", 4.0, 11.0, 1),
    ("RBC", "10*12/L", 3.8, 5.8, 2),
    ("HGB", "g/L", 115.0, 165.0, 0),
    ("HCT", "L/L", 0.37, 0.47, 2),
    ("MCV", "fL", 80.0, 100.0, 0),
    ("PLT", "10*9/L", 150.0, 400.0, 0),
    ("NEUT", "10*9/L", 2.0, 7.5, 1),
];

/// The line an instrument is at.
pub trait Line: Write + Send {
    /// Reads what has come within a time; `TimedOut` if nothing has.
    ///
    /// # Errors
    /// The line's.
    fn read_within(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize>;
}

impl Line for PseudoTerminal {
    fn read_within(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize> {
        Self::read_within(self, buffer, within)
    }
}

impl Line for TcpStream {
    fn read_within(&mut self, buffer: &mut [u8], within: Duration) -> io::Result<usize> {
        self.set_read_timeout(Some(within))?;
        self.read(buffer)
    }
}

/// What an instrument's line does to bytes on their way out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Disturbance {
    /// Of a thousand bytes, how many are lost.
    pub lost_per_mille: u64,
    /// Of a thousand bytes, how many become others.
    pub changed_per_mille: u64,
}

/// One report, ready to be sent.
#[derive(Clone, Debug)]
pub struct Report {
    /// The specimen it is about.
    pub specimen: String,
    /// The message.
    pub message: Vec<u8>,
}

/// An instrument and its line.
pub struct Instrument<L> {
    line: L,
    framing: Framing,
    delimiters: &'static str,
    disturbance: Disturbance,
    entropy: Entropy,
    name: String,
    count: u64,
    /// How often a report had to be sent again from its beginning.
    pub repeats: u64,
}

impl<L> std::fmt::Debug for Instrument<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Instrument({}, {:?})", self.name, self.framing)
    }
}

impl<L: Line> Instrument<L> {
    /// An instrument of this name; the same reports for the same seed.
    pub fn new(line: L, name: &str, framing: Framing, seed: u64) -> Self {
        Self {
            line,
            framing,
            delimiters: "\\^&",
            disturbance: Disturbance::default(),
            entropy: Entropy::from_seed(seed),
            name: name.to_owned(),
            count: 0,
            repeats: 0,
        }
    }

    /// Declares other delimiters for repeat, component and escape, as a GeneXpert does: `@^\`. Components stay `^`.
    pub const fn declare(&mut self, delimiters: &'static str) {
        self.delimiters = delimiters;
    }

    /// From here on the line does this.
    pub const fn disturb(&mut self, disturbance: Disturbance) {
        self.disturbance = disturbance;
    }

    /// The line, to misuse it.
    pub const fn line(&mut self) -> &mut L {
        &mut self.line
    }

    /// Measures a person's specimen; now and then a value is beyond its range.
    pub fn measure(&mut self, person: &Person, now: Timestamp) -> Report {
        self.count += 1;
        let specimen = format!("{}-{:06}", self.name.to_uppercase(), self.count);
        let moment = local_digits(now);
        let mut message = format!(
            "H|{}|{}||{}|||||||P|LIS2-A2|{moment}\rP|1|{}|||{}^{}||{}|{}\rO|1|{specimen}||^^^FBC|R|{moment}\r",
            self.delimiters,
            self.count,
            self.name,
            person.nhs_number.as_str(),
            person.family_name,
            person.given_name,
            person.birth_date,
            person.sex,
        );
        for (number, (code, units, from, to, decimals)) in (1..).zip(TESTS) {
            let permille = f64::from(u32::try_from(self.entropy.below(1200)).unwrap_or_default());
            let value = from + (to - from) * (permille / 1000.0 - 0.1);
            let flag = match value {
                low if low < from => "L",
                high if to < high => "H",
                _ => "N",
            };
            message.push_str(&format!(
                "R|{number}|^^^{code}|{value:.decimals$}|{units}|{from} to {to}|{flag}||F||||{moment}\r"
            ));
        }
        message.push_str("L|1|N\r");
        Report { specimen, message: message.into_bytes() }
    }

    /// Sends a report until it is accepted to its last frame, or a time is over; whether it was.
    ///
    /// # Errors
    /// The line is gone.
    pub fn deliver(&mut self, report: &Report, within: Duration) -> io::Result<bool> {
        let until = Instant::now() + within;
        loop {
            if self.attempt(report, until)? {
                return Ok(true);
            }
            if until <= Instant::now() {
                return Ok(false);
            }
            self.repeats += 1;
        }
    }

    fn attempt(&mut self, report: &Report, until: Instant) -> io::Result<bool> {
        let began = Instant::now();
        let mut conversation = Conversation::new(Role::Instrument, MESSAGE_BYTES_MAX);
        conversation.send(&report.message, self.framing, Duration::ZERO);
        let mut buffer = [0; 256];
        while Instant::now() < until {
            while let Some(action) = conversation.next_action() {
                match action {
                    Action::Write(bytes) => self.write(&bytes)?,
                    Action::Message(_) => conversation.decide(Verdict::Taken, began.elapsed()),
                    Action::Sent => return Ok(true),
                    Action::NotSent(_) => return Ok(false),
                    Action::Torn(..) => {}
                }
            }
            match self.line.read_within(&mut buffer, READ_WITHIN) {
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(count) => conversation.receive(buffer.get(..count).unwrap_or_default(), began.elapsed()),
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                }
                Err(error) => return Err(error),
            }
            conversation.tick(began.elapsed());
        }
        Ok(false)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.entropy.below(1000) < self.disturbance.lost_per_mille {
                continue;
            }
            let changed = self.entropy.below(1000) < self.disturbance.changed_per_mille;
            // Noise turns text into other text: a line turns no letter into an ACK often enough to test by chance.
            out.push(if changed && byte.is_ascii_graphic() { b'~' } else { *byte });
        }
        self.line.write_all(&out)?;
        self.line.flush()
    }
}
