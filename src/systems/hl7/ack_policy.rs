//! What a receiver's acknowledgement means for the message: taken, again later, or never.

use crate::{
    codec::hl7v2::{ErrorCode, Message, Segment},
    flow::deliver::Answer,
};

/// A name longer than this is none: HL7 v2.4 allows 75 for a filler's name of an appointment.
const NAME_BYTES_MAX: usize = 250;

/// What an acknowledgement says. The receiver's own words are left out: they may quote the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    /// MSA-1, such as `AA`.
    pub code: String,
    /// MSA-2 as it stands.
    pub control_id: Vec<u8>,
    /// The number in table 0357: MSA-6, ERR-3 (from v2.5), or ERR-1.4 (before).
    pub error: Option<u16>,
    /// Where the error is, as `PID^1^3`.
    pub location: String,
    /// SCH-2.1: how the receiver names the appointment, where it answers with one.
    pub filler: Option<String>,
}

impl Received {
    /// Whether it answers the message of this MSH-10.
    pub fn names(&self, control_id: &[u8]) -> bool {
        self.control_id == control_id
    }
}

/// What is made of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Meaning {
    /// It is taken.
    Accepted,
    /// It is sent again later.
    Again,
    /// It is parked.
    Stop,
}

/// What a receiver's answers mean. AA and CA are taken, always.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AckPolicy {
    /// AE and CE without a number that is listed below.
    pub error: Meaning,
    /// AR and CR without such a number.
    pub reject: Meaning,
    /// Numbers of table 0357 that mean something of their own, whatever the code beside them.
    pub numbers: Vec<(u16, Meaning)>,
}

impl Default for AckPolicy {
    /// An error is tried again and a rejection is parked; but what is wrong with the message itself (100 to 103, 200
    /// to 205) will not come right by itself, and a locked record (206) and an internal error (207) may.
    fn default() -> Self {
        let stop = [100, 101, 102, 103, 200, 201, 202, 203, 204, 205].map(|number| (number, Meaning::Stop));
        let again = [206, 207].map(|number| (number, Meaning::Again));
        Self {
            error: Meaning::Again,
            reject: Meaning::Stop,
            numbers: stop.into_iter().chain(again).collect(),
        }
    }
}

impl AckPolicy {
    /// How answers to bookings are meant: any error is a no, which the patient must hear of, unless its number says
    /// that it will pass (206 and 207).
    pub fn of_bookings() -> Self {
        Self { error: Meaning::Stop, ..Self::default() }
    }

    /// What the hub does about an answer.
    pub fn answer(&self, received: &Received) -> Answer {
        let of_number = received
            .error
            .and_then(|error| self.numbers.iter().find(|(number, _)| *number == error))
            .map(|(_, meaning)| *meaning);
        let meaning = match received.code.as_str() {
            "AA" | "CA" => Meaning::Accepted,
            "AE" | "CE" => of_number.unwrap_or(self.error),
            "AR" | "CR" => of_number.unwrap_or(self.reject),
            _ => Meaning::Again,
        };
        match meaning {
            Meaning::Accepted => Answer::Accepted,
            Meaning::Again => Answer::Again(words(received)),
            Meaning::Stop => Answer::Stop(words(received)),
        }
    }
}

/// Reads an acknowledgement; none if it is none.
pub fn read_acknowledgement(bytes: &[u8]) -> Option<Received> {
    let message = Message::parse(bytes).ok()?;
    let msa = message.segment("MSA")?;
    let text = |bytes: &[u8]| message.text(bytes).trim().to_owned();
    let error = message.segment("ERR");
    let number = |bytes: &[u8]| std::str::from_utf8(bytes.trim_ascii()).ok()?.parse::<u16>().ok();
    let in_error = |error: &Segment<'_>| {
        let old = error.field(1).component(4).subcomponent(1);
        number(error.field(3).component(1).bytes()).or_else(|| number(old.bytes()))
    };
    Some(Received {
        code: text(msa.field(1).component(1).bytes()).to_ascii_uppercase(),
        control_id: msa.field(2).bytes().trim_ascii().to_vec(),
        error: number(msa.field(6).component(1).bytes()).or_else(|| error.as_ref().and_then(in_error)),
        location: error.map(|error| location(&error)).unwrap_or_default(),
        filler: message
            .segment("SCH")
            .map(|schedule| text(schedule.field(2).component(1).bytes()))
            .filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX),
    })
}

/// ERR-2 (from v2.5) or ERR-1: segment, which of that name, and field; nothing else a receiver may have put there.
fn location(error: &Segment<'_>) -> String {
    let field = if error.field(2).bytes().is_empty() { error.field(1) } else { error.field(2) };
    let is_name = |name: &[u8]| name.len() == 3 && name.iter().all(u8::is_ascii_alphanumeric);
    let name = field.component(1).bytes();
    if !is_name(name) {
        return String::new();
    }
    let mut place = String::from_utf8_lossy(name).into_owned();
    for part in [2, 3] {
        let digits = field.component(part).bytes();
        if digits.is_empty() || 4 < digits.len() || !digits.iter().all(u8::is_ascii_digit) {
            break;
        }
        place.push('^');
        place.push_str(&String::from_utf8_lossy(digits));
    }
    place
}

/// An answer for operators, without content.
pub(super) fn words(received: &Received) -> String {
    let code = match received.code.as_str() {
        "" => "an acknowledgement without a code",
        code @ ("AE" | "AR" | "CE" | "CR") => code,
        _ => "an acknowledgement with a code that is none",
    };
    let number = received.error.map(|number| match ErrorCode::of_number(number) {
        Some(known) => format!(" {number} {}", known.text()),
        None => format!(" {number}"),
    });
    let place =
        if received.location.is_empty() { String::new() } else { format!(" at {}", received.location) };
    format!("{code}{}{place}", number.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(segments: &str) -> Answer {
        let text = format!("MSH|^~\\&|A|B|C|D|2026||ACK^A31|9|P|2.4\r{segments}");
        AckPolicy::default().answer(&read_acknowledgement(text.as_bytes()).unwrap())
    }

    #[test]
    fn codes_and_numbers_mean_what_the_table_says() {
        let again = |text: &str| Answer::Again(text.to_owned());
        let stop = |text: &str| Answer::Stop(text.to_owned());
        for (segments, expected) in [
            ("MSA|AA|1", Answer::Accepted),
            ("MSA|CA|1", Answer::Accepted),
            ("MSA|aa|1", Answer::Accepted),
            ("MSA|AE|1", again("AE")),
            ("MSA|AR|1", stop("AR")),
            ("MSA|AE|1||||206^x^HL70357", again("AE 206 Application record locked")),
            ("MSA|AR|1||||206", again("AR 206 Application record locked")),
            ("MSA|AE|1||||101^x", stop("AE 101 Required field missing")),
            ("MSA|AE|1\rERR|PID^1^3^101&x&HL70357", stop("AE 101 Required field missing at PID^1^3")),
            ("MSA|AR|1\rERR||PV1^1^19|207|E", again("AR 207 Application internal error at PV1^1^19")),
            ("MSA|AR|1||||999", stop("AR 999")),
            ("MSA|??|1", again("an acknowledgement with a code that is none")),
            ("MSA||1", again("an acknowledgement without a code")),
        ] {
            assert_eq!(answer(segments), expected, "{segments}");
        }
    }

    #[test]
    fn nothing_of_a_receivers_own_words_is_repeated() {
        let Answer::Stop(words) = answer("MSA|AR|1|SMITH^Ann is unknown\rERR|SMITH^Ann^1") else { panic!() };
        assert_eq!(words, "AR");
        let Answer::Stop(words) = answer("MSA|AR|1\rERR||PID^Ann^SMITH|204") else { panic!() };
        assert_eq!(words, "AR 204 Unknown key identifier at PID");
    }

    #[test]
    fn what_is_no_acknowledgement_is_none() {
        for bytes in ["", "hello", "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.4\rPID|1"] {
            assert_eq!(read_acknowledgement(bytes.as_bytes()), None, "{bytes}");
        }
    }

    #[test]
    fn a_policy_may_say_otherwise() {
        let policy = AckPolicy {
            error: Meaning::Stop,
            reject: Meaning::Again,
            numbers: vec![(205, Meaning::Accepted)],
        };
        let received = |code: &str, error| Received {
            code: code.to_owned(),
            control_id: Vec::new(),
            error,
            location: String::new(),
            filler: None,
        };
        assert!(matches!(policy.answer(&received("AE", None)), Answer::Stop(_)));
        assert!(matches!(policy.answer(&received("AR", Some(101))), Answer::Again(_)));
        assert_eq!(policy.answer(&received("AR", Some(205))), Answer::Accepted);
    }
}
