//! The messages that RiO and a hospital system send in a day, made up: varied, seeded, in HL7 v2.4.

use crate::{domain::time::Timestamp, sys::entropy::Entropy};

use super::people::Person;

/// Whose messages they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Voice {
    /// A community and mental health system.
    Rio,
    /// A hospital's patient administration and laboratory systems.
    SecondaryCare,
}

/// An endless stream of messages.
#[derive(Debug)]
pub struct Traffic {
    voice: Voice,
    prefix: String,
    entropy: Entropy,
    people: u64,
    count: u64,
    padding_bytes: usize,
}

/// One message and the name its sender gives it.
#[derive(Clone, Eq, PartialEq)]
pub struct Message {
    /// MSH-10.
    pub control_id: String,
    /// The message, without framing.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({}, {} bytes)", self.control_id, self.bytes.len())
    }
}

impl Traffic {
    /// Messages of one system about `people` people. `prefix` begins every control id, so that several
    /// senders may speak for one system.
    pub fn new(voice: Voice, prefix: &str, people: u64, seed: u64) -> Self {
        let entropy = Entropy::from_seed(seed);
        Self { voice, prefix: prefix.to_owned(), entropy, people: people.max(1), count: 0, padding_bytes: 0 }
    }

    /// Makes every message at least this long, by a note at its end.
    #[must_use]
    pub const fn padded_to(mut self, bytes: usize) -> Self {
        self.padding_bytes = bytes;
        self
    }

    /// The next message, as sent at `now`.
    pub fn next(&mut self, now: Timestamp) -> Message {
        self.count += 1;
        let control_id = format!("{}{}", self.prefix, self.count);
        let person = Person::of(self.entropy.below(self.people));
        let mut text = match (self.voice, self.entropy.below(20)) {
            (_, 0..8) => self.encounter(&control_id, &person, now),
            (_, 8..12) => self.demographics(&control_id, &person, now),
            (_, 12..16) | (Voice::Rio, _) => self.appointment(&control_id, &person, now),
            (Voice::SecondaryCare, _) => self.result(&control_id, &person, now),
        };
        if text.len() + 8 < self.padding_bytes {
            let filler = "Note. ".repeat(self.padding_bytes / 6 + 1);
            let room = self.padding_bytes - text.len() - 8;
            text.push_str("NTE|1||");
            text.extend(filler.chars().take(room));
            text.push('\r');
        }
        Message { control_id, bytes: text.into_bytes() }
    }

    /// A message that registers this person (A28), as sent at `now`.
    pub fn register(&mut self, person: &Person, now: Timestamp) -> Message {
        self.count += 1;
        let control_id = format!("{}{}", self.prefix, self.count);
        let text = self.demographic_event(&control_id, "A28", person, now);
        Message { control_id, bytes: text.into_bytes() }
    }

    fn encounter(&mut self, control_id: &str, person: &Person, now: Timestamp) -> String {
        let trigger = ["A01", "A02", "A03", "A04", "A05", "A11", "A13"];
        let event = self.entropy.pick(&trigger).copied().unwrap_or("A01");
        let visit = format!("V{:06}", person.number * 7 + self.entropy.below(3));
        let mut text = self.header(control_id, "ADT", event, now);
        text.push_str(&self.identity(person));
        let ward = 1 + self.entropy.below(9);
        let class = if event == "A04" { "O" } else { "I" };
        let stay = [
            (1, "1".to_owned()),
            (2, class.to_owned()),
            (3, format!("CLINIC{ward}^^^POLY")),
            (7, "C1234567^Okafor^Ada".to_owned()),
            (19, format!("{visit}^^^{}", self.facility())),
            (44, stamp(now)),
        ];
        segment(&mut text, &joined("PV1", 44, &stay));
        text
    }

    fn demographics(&mut self, control_id: &str, person: &Person, now: Timestamp) -> String {
        let event = ["A08", "A28", "A31"];
        let event = self.entropy.pick(&event).copied().unwrap_or("A31");
        self.demographic_event(control_id, event, person, now)
    }

    fn demographic_event(&self, control_id: &str, event: &str, person: &Person, now: Timestamp) -> String {
        let mut text = self.header(control_id, "ADT", event, now);
        text.push_str(&self.identity(person));
        // No visit, but the structures want the segment.
        segment(&mut text, "PV1|1|N");
        text
    }

    fn appointment(&mut self, control_id: &str, person: &Person, now: Timestamp) -> String {
        let event = ["S12", "S12", "S12", "S13", "S14", "S15", "S26"];
        let event = self.entropy.pick(&event).copied().unwrap_or("S12");
        let appointment = person.number * 5 + self.entropy.below(4);
        let when = now.plus(std::time::Duration::from_secs(3600 * (1 + self.entropy.below(400))));
        let mut text = self.header(control_id, "SIU", event, now);
        let status = match event {
            "S15" => "Cancelled",
            "S26" => "Noshow",
            _ => "Booked",
        };
        let clerk = "K1^Brown^Sam";
        let schedule = [
            (1, format!("P{appointment}")),
            (2, format!("F{appointment}")),
            (6, "ROUTINE".to_owned()),
            (7, "FOLLOWUP^Follow-up".to_owned()),
            (9, "20".to_owned()),
            (10, "MIN".to_owned()),
            (11, format!("^^^{}", stamp(when))),
            (16, clerk.to_owned()),
            (20, clerk.to_owned()),
            (25, status.to_owned()),
        ];
        segment(&mut text, &joined("SCH", 25, &schedule));
        text.push_str(&self.identity(person));
        segment(&mut text, "RGS|1");
        segment(&mut text, "AIL|1||CLINIC3^^^POLY|C^Clinic");
        text
    }

    fn result(&mut self, control_id: &str, person: &Person, now: Timestamp) -> String {
        let order = format!("L{:07}", person.number * 3 + self.entropy.below(2));
        let mut text = self.header(control_id, "ORU", "R01", now);
        text.push_str(&self.identity(person));
        segment(&mut text, &format!("OBR|1|{order}|{order}|FBC^Full blood count^L|||{}", stamp(now)));
        let tests = [
            ("HB", "Haemoglobin", "g/L", 95, 175, 120, 160),
            ("WBC", "White cell count", "10*9/L", 2, 15, 4, 11),
            ("PLT", "Platelets", "10*9/L", 80, 480, 150, 400),
            ("K", "Potassium", "mmol/L", 2, 7, 3, 6),
        ];
        for (place, (code, name, units, low, high, normal_low, normal_high)) in tests.into_iter().enumerate()
        {
            let value = low + self.entropy.below(high - low);
            let flag = match value {
                value if value < normal_low => "L",
                value if normal_high < value && code == "K" => "HH",
                value if normal_high < value => "H",
                _ => "N",
            };
            let line = place + 1;
            segment(
                &mut text,
                &format!(
                    "OBX|{line}|NM|{code}^{name}^L||{value}|{units}|{normal_low}-{normal_high}|{flag}|||F"
                ),
            );
        }
        text
    }

    fn header(&self, control_id: &str, kind: &str, event: &str, now: Timestamp) -> String {
        let structure = match event {
            "A04" | "A08" | "A13" => "ADT_A01",
            "A28" | "A31" => "ADT_A05",
            "A11" => "ADT_A09",
            "R01" => "ORU_R01",
            event if event.starts_with('S') => "SIU_S12",
            event => &format!("ADT_{event}"),
        };
        let mut text = String::with_capacity(1024);
        let (application, facility, stamp) = (self.application(), self.facility(), stamp(now));
        segment(
            &mut text,
            &format!(
                "MSH|^~\\&|{application}|{facility}|POLYGATE|5LC01|{stamp}||{kind}^{event}^{structure}|{control_id}|P|2.4|||||GBR|ASCII"
            ),
        );
        if kind == "ADT" {
            segment(&mut text, &format!("EVN|{event}|{stamp}||||{stamp}"));
        }
        text
    }

    fn identity(&self, person: &Person) -> String {
        let mut text = String::with_capacity(256);
        // PID-32: the number is traced (table 0445).
        let verified = format!("{}NSTS01", "|".repeat(21));
        segment(
            &mut text,
            &format!(
                "PID|1||{local}^^^{facility}^MR~{nhs}^^^NHS^NH||{family}^{given}^^^^^L||{born}|{sex}|||{address}^^LONDON^^E17 9ZZ^^H{verified}",
                local = self.local_number(person),
                facility = self.facility(),
                nhs = person.nhs_number.as_str(),
                family = person.family_name,
                given = person.given_name,
                born = person.birth_date,
                sex = person.sex,
                address = person.address,
            ),
        );
        // In XON.1, as what we build has it: XON.3 is a number in version 2.4, which no ODS code is.
        segment(&mut text, &format!("PD1|||{}", person.practice()));
        text
    }

    fn local_number(&self, person: &Person) -> String {
        match self.voice {
            Voice::Rio => format!("{:07}", 1_000_000 + person.number),
            Voice::SecondaryCare => format!("H{:06}", person.number),
        }
    }

    const fn application(&self) -> &'static str {
        match self.voice {
            Voice::Rio => "RIO",
            Voice::SecondaryCare => "PAS",
        }
    }

    const fn facility(&self) -> &'static str {
        match self.voice {
            Voice::Rio => "RV5",
            Voice::SecondaryCare => "RQ6",
        }
    }
}

fn segment(text: &mut String, segment: &str) {
    text.push_str(segment);
    text.push('\r');
}

/// A segment of so many fields, of which these are not empty.
fn joined(name: &str, count: usize, given: &[(usize, String)]) -> String {
    let mut fields = vec![""; count + 1];
    fields[0] = name;
    for (number, value) in given {
        fields[*number] = value;
    }
    fields.join("|")
}

/// `YYYYMMDDHHMMSS` with the offset of UTC, so that nobody need guess the zone.
fn stamp(moment: Timestamp) -> String {
    let text: String = moment.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    text + "+0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_says_the_same_and_every_name_is_used_once() {
        let make = || {
            let mut traffic = Traffic::new(Voice::SecondaryCare, "P", 500, 3);
            (0..500)
                .map(|second| traffic.next(Timestamp(1_800_000_000_000 + second * 1000)))
                .collect::<Vec<_>>()
        };
        let messages = make();
        assert_eq!(messages, make());
        let names: std::collections::BTreeSet<&String> = messages.iter().map(|m| &m.control_id).collect();
        assert_eq!(names.len(), 500);
        for kind in ["|ADT^A01^", "|ADT^A31^", "|SIU^S12^", "|SIU^S26^", "|ORU^R01^"] {
            let said = messages.iter().any(|m| String::from_utf8_lossy(&m.bytes).contains(kind));
            assert!(said, "{kind}");
        }
    }

    #[test]
    fn pads_to_the_length_asked_for() {
        let mut traffic = Traffic::new(Voice::Rio, "R", 10, 1).padded_to(1024);
        for _ in 0..50 {
            let length = traffic.next(Timestamp(0)).bytes.len();
            assert!((1000..1100).contains(&length), "{length}");
        }
    }
}
