//! Names of slots and appointments as senders are given them, and as they give them back.

use serde_json::Value;

use crate::{
    codec::fhir::Element,
    domain::{
        booking::{AppointmentId, RequestId, SlotId},
        ids::HubId,
        time::Timestamp,
    },
};

use super::{
    Message,
    id::{derived, is_uuid},
};

/// The longest session's id of which slots have names: with when and which place, 64 characters, as long as FHIR's ids
/// may be (R4, section 2.24).
pub const SESSION_CHARACTERS_MAX: usize = 50;
/// Slots that one message may name: as many as one appointment may fill.
const SLOTS_MAX: usize = 16;
/// The digits of moments: short, and legal in ids.
const BASE: u32 = 36;

/// A slot's id: its session, when it begins in milliseconds since 1970 (base 36) and which place, with dots between. It
/// is of this receiver's own sessions, and says nothing of a patient. Senders take it as it is.
pub fn slot_id(slot: &SlotId) -> String {
    format!("{}.{}.{}", slot.session, in_base(slot.start.0), slot.place)
}

/// The slot of this hub that an id names; none if it is no such id, or not written as [`slot_id`] writes it.
pub fn slot_of(id: &str, home: &HubId) -> Option<SlotId> {
    let mut parts = id.split('.');
    let (session, start, place) = (parts.next()?, parts.next()?, parts.next()?);
    let start = i64::from_str_radix(start, BASE).ok()?;
    let slot = SlotId {
        home: home.clone(),
        session: session.parse().ok()?,
        start: Timestamp(start),
        place: place.parse().ok()?,
    };
    (slot_id(&slot) == id).then_some(slot)
}

/// The slot's name within Bundles, `urn:uuid:…`. Some senders give back nothing else.
pub fn slot_name(slot: &SlotId) -> String {
    format!("urn:uuid:{}", derived(&["slot", &slot_id(slot)]))
}

/// An appointment's id: its name in the polysystem, written as a UUID.
pub fn appointment_id(id: AppointmentId) -> String {
    let hex = id.to_string();
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
}

/// The appointment that an id names; none if it is no UUID.
pub fn appointment_of(id: &str) -> Option<AppointmentId> {
    is_uuid(id).then(|| id.replace('-', "").to_ascii_lowercase().parse().ok()).flatten()
}

/// A request's name, which follows from words: the same words, the same request.
pub fn request_of(words: &[&str]) -> RequestId {
    let name = appointment_of(&derived(words));
    RequestId(name.map(|name| name.0).unwrap_or_default())
}

/// A slot as a message names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlotNamed<'a> {
    id: Option<&'a str>,
    reference: &'a str,
}

impl SlotNamed<'_> {
    /// The slot, if its id says which; one that is named by its `urn:uuid:` alone must be looked for.
    pub fn slot(&self, home: &HubId) -> Option<SlotId> {
        slot_of(self.id?, home)
    }

    /// Whether this is what the slot is called. An id as we give them says which; without one its name does.
    pub fn is(&self, slot: &SlotId) -> bool {
        match self.slot(&slot.home) {
            Some(named) => named == *slot,
            None => self.reference.eq_ignore_ascii_case(&slot_name(slot)),
        }
    }

    /// Whether it may be one of this receiver's: an id as it gives them, or a name.
    pub fn may_be_ours(&self, home: &HubId) -> bool {
        self.slot(home).is_some() || self.reference.strip_prefix("urn:uuid:").is_some_and(is_uuid)
    }
}

impl<'a> Message<'a> {
    /// The slots that the appointment fills, in its order; at most a few more than one appointment may.
    pub fn slots(&self) -> Vec<SlotNamed<'a>> {
        let named = |reference: Element<'a>| {
            let resource = self.find(reference);
            let reference = reference.text_of("reference")?;
            let of_path = reference.rsplit_once("Slot/").map(|(_, id)| id);
            let id = resource.and_then(|slot| slot.text_of("id")).or(of_path);
            Some(SlotNamed { id, reference })
        };
        self.focus.each("slot").filter_map(named).take(SLOTS_MAX + 1).collect()
    }

    /// By which a request of this message is known: who sends it, and what it is called.
    pub fn request(&self) -> RequestId {
        request_of(&["request", self.source, self.id])
    }
}

/// A reference to a slot.
pub(super) fn slot_reference(slot: &SlotId) -> Value {
    serde_json::json!({ "reference": format!("Slot/{}", slot_id(slot)), "type": "Slot" })
}

fn in_base(number: i64) -> String {
    let mut digits = Vec::new();
    let mut rest = number.unsigned_abs();
    loop {
        let digit = u32::try_from(rest % u64::from(BASE)).unwrap_or_default();
        digits.extend(char::from_digit(digit, BASE));
        rest /= u64::from(BASE);
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        digits.push('-');
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::bars::id::is_fhir_id;

    fn slot(session: &str, start: i64, place: u16) -> SlotId {
        SlotId {
            home: "soho".parse().unwrap(),
            session: session.parse().unwrap(),
            start: Timestamp(start),
            place,
        }
    }

    #[test]
    fn ids_of_slots_are_read_as_they_are_written_and_in_no_other_way() {
        let home: HubId = "soho".parse().unwrap();
        for slot in [slot("feet-mon", 1_795_000_000_000, 1), slot("a", 0, 0), slot("a", i64::MIN, u16::MAX)] {
            let id = slot_id(&slot);
            assert_eq!(slot_of(&id, &home), Some(slot), "{id}");
        }
        let longest = slot(&"x".repeat(SESSION_CHARACTERS_MAX), 4_102_444_800_000, 100);
        assert!(is_fhir_id(&slot_id(&longest)), "{}", slot_id(&longest));
        assert_eq!(slot_id(&slot("feet", 1_795_000_000_000, 1)), "feet.mwm0nk74.1");
        for bad in [
            "",
            "feet",
            "feet.1",
            "feet.1.1.1",
            "feet.+1.1",
            "feet.01.1",
            "feet.A.1",
            "feet.1.01",
            "Feet.1.1",
            "feet.1.70000",
            "feet.zzzzzzzzzzzzzzzz.1",
            "é.1.1",
        ] {
            assert_eq!(slot_of(bad, &home), None, "{bad}");
        }
    }

    #[test]
    fn appointments_have_uuids() {
        let id = AppointmentId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        assert_eq!(appointment_id(id), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(appointment_of("01234567-89AB-CDEF-0123-456789abcdef"), Some(id));
        assert_eq!(appointment_of("0123456789abcdef0123456789abcdef"), None);
        assert_ne!(request_of(&["a", "b"]), request_of(&["ab"]));
    }
}
