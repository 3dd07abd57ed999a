//! A point-of-care device that speaks POCT1-A: it introduces itself, says what it has, and sends each observation
//! until it is accepted.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    codec::poct1a::{
        message::{Body, read},
        split::{Piece, Splitter},
    },
    domain::time::Timestamp,
    sys::entropy::Entropy,
};

use super::people::Person;

const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// What a blood-gas and metabolite meter measures: LOINC code, name, units, from, to.
const TESTS: [(&str, &str, &str, f64, f64); 3] = [
    ("14749-6", "Glucose", "mmol/L", 3.9, 7.8),
    ("2746-6", "pH", "", 7.35, 7.45),
    ("2524-7", "Lactate", "mmol/L", 0.5, 2.0),
];

/// A device and its connection.
#[derive(Debug)]
pub struct PointOfCareDevice {
    stream: TcpStream,
    splitter: Splitter,
    entropy: Entropy,
    serial: String,
    control_id: u32,
    sequence: u32,
    now: Timestamp,
}

impl PointOfCareDevice {
    /// A device of this serial number on a new connection. It waits for no answer longer than `patience`.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn new(stream: TcpStream, serial: &str, now: Timestamp, patience: Duration) -> io::Result<Self> {
        stream.set_read_timeout(Some(patience))?;
        Ok(Self {
            stream,
            splitter: Splitter::new(MESSAGE_BYTES_MAX),
            entropy: Entropy::from_seed(7),
            serial: serial.to_owned(),
            control_id: 0,
            sequence: 0,
            now,
        })
    }

    /// Measures a person: the `SVC` of an observation.
    pub fn measure(&mut self, person: &Person) -> String {
        self.sequence += 1;
        let mut observations = String::new();
        for (code, name, units, from, to) in TESTS {
            let permille = f64::from(u32::try_from(self.entropy.below(1200)).unwrap_or_default());
            let value = from + (to - from) * (permille / 1000.0 - 0.1);
            let flag = match value {
                low if low < from => "L",
                high if to < high => "H",
                _ => "N",
            };
            observations.push_str(&format!(
                "<OBS><OBS.observation_id V=\"{code}\" SN=\"LN\" DN=\"{name}\"/><OBS.value V=\"{value:.2}\" \
                 U=\"{units}\"/><OBS.method_cd V=\"M\"/><OBS.status_cd V=\"A\"/><OBS.interpretation_cd V=\"{flag}\"/>\
                 <OBS.normal_lo-hi_limit V=\"[{from};{to}]\" U=\"{units}\"/></OBS>"
            ));
        }
        format!(
            "<SVC><SVC.role_cd V=\"OBS\"/><SVC.observation_dttm V=\"{}\"/><SVC.reason_cd V=\"NEW\"/>\
             <SVC.sequence_nbr V=\"{}\"/><PT><PT.patient_id V=\"{}\"/>{observations}</PT>\
             <OPR><OPR.operator_id V=\"HCA7\"/></OPR></SVC>",
            self.now,
            self.sequence,
            person.nhs_number.as_str()
        )
    }

    /// Introduces itself and says how many observations it has; waits until it is asked for them.
    ///
    /// # Errors
    /// The connection is gone, or the hub does not ask.
    pub fn introduce(&mut self, observations: usize) -> io::Result<()> {
        let device = format!(
            "<DEV><DEV.vendor_id V=\"ACME\"/><DEV.model_id V=\"Meter\"/><DEV.serial_id V=\"{}\"/></DEV>",
            self.serial
        );
        self.say("HEL.R01", &device)?;
        self.accepted()?;
        let status = format!("<DST><DST.new_observations_qty V=\"{observations}\"/></DST>");
        self.say("DST.R01", &status)?;
        self.accepted()?;
        let request = self.hear()?;
        if request.0 == "REQ.R01" { Ok(()) } else { Err(io::Error::other("the hub does not ask")) }
    }

    /// Sends an observation; whether the hub has it.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn deliver(&mut self, service: &str) -> io::Result<bool> {
        self.say("OBS.R01", service)?;
        self.accepted()
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn end(&mut self) -> io::Result<bool> {
        self.say("EOT.R01", "<EOT><EOT.topic_cd V=\"OBS\"/></EOT>")?;
        self.accepted()
    }

    /// Writes a message of this body, under the next control id.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn say(&mut self, kind: &str, body: &str) -> io::Result<()> {
        self.control_id += 1;
        let message = format!(
            "<{kind}><HDR><HDR.control_id V=\"{}\"/><HDR.version_id V=\"POCT1\"/><HDR.creation_dttm V=\"{}\"/></HDR>\
             {body}</{kind}>\r\n",
            self.control_id, self.now
        );
        self.stream.write_all(message.as_bytes())
    }

    fn accepted(&mut self) -> io::Result<bool> {
        let control_id = self.control_id.to_string();
        match self.hear()? {
            (_, Body::Acknowledgement { accepted, of }) if of == control_id => Ok(accepted),
            _ => Err(io::Error::other("an answer to another message")),
        }
    }

    fn hear(&mut self) -> io::Result<(String, Body)> {
        let mut byte = [0];
        loop {
            self.stream.read_exact(&mut byte)?;
            if let Some(Piece::Message(raw)) = byte.first().and_then(|byte| self.splitter.push(*byte)) {
                return read(&raw).map(|message| (message.kind, message.body)).map_err(io::Error::other);
            }
        }
    }
}
