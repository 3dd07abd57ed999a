//! The events that are taken, and what each is: ITK's subset of ADT, all of SIU that changes an appointment, ORU^R01.

/// The message structures that an event may name in MSH-9.3 (HL7 v2.4, table 0354; A12 as ITK and as HL7 have it);
/// none if the event is not taken.
pub(super) fn structures(kind: &str, trigger: &str) -> Option<&'static [&'static str]> {
    Some(match (kind, trigger) {
        ("ADT", "A01" | "A04" | "A08" | "A13") => &["ADT_A01"],
        ("ADT", "A02") => &["ADT_A02"],
        ("ADT", "A03") => &["ADT_A03"],
        ("ADT", "A05" | "A14" | "A28" | "A31") => &["ADT_A05"],
        ("ADT", "A06" | "A07") => &["ADT_A06"],
        ("ADT", "A11") => &["ADT_A09"],
        ("ADT", "A12") => &["ADT_A09", "ADT_A12"],
        ("ADT", "A15") => &["ADT_A15"],
        ("ADT", "A16") => &["ADT_A16"],
        ("ADT", "A21" | "A22" | "A25" | "A26" | "A27") => &["ADT_A21"],
        ("ADT", "A38") => &["ADT_A38"],
        ("ADT", "A40") => &["ADT_A39"],
        ("ADT", "A52" | "A53") => &["ADT_A52"],
        ("SIU", "S12" | "S13" | "S14" | "S15" | "S16" | "S17" | "S26") => &["SIU_S12"],
        ("ORU", "R01") => &["ORU_R01"],
        _ => return None,
    })
}

/// What an event makes of an encounter; none if it only says more about it.
pub(super) fn encounter_status(trigger: &str) -> Option<&'static str> {
    Some(match trigger {
        "A01" => "admitted",
        "A02" => "transferred",
        "A03" => "discharged",
        "A04" => "registered",
        "A05" => "pre-admitted",
        "A06" => "admitted",
        "A07" => "registered",
        "A11" => "admission cancelled",
        "A12" => "transfer cancelled",
        "A13" => "discharge cancelled",
        "A14" => "admission pending",
        "A15" => "transfer pending",
        "A16" => "discharge pending",
        "A21" => "on leave",
        "A22" => "returned from leave",
        "A25" => "pending discharge cancelled",
        "A26" => "pending transfer cancelled",
        "A27" => "pending admission cancelled",
        "A38" => "pre-admission cancelled",
        "A52" => "leave cancelled",
        "A53" => "return from leave cancelled",
        _ => return None,
    })
}

/// What an event makes of an appointment. A booking and a change say so themselves; what the schedule says of the
/// appointment's state (SCH-25, table 0278 and words in use) makes it more than booked.
pub(in crate::systems::hl7) fn appointment_status(trigger: &str, status_at_source: &str) -> &'static str {
    match trigger {
        "S15" => return "cancelled",
        "S16" => return "discontinued",
        "S17" => return "deleted",
        "S26" => return "did not attend",
        _ => {}
    }
    let word: String =
        status_at_source.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    match word.as_str() {
        "arrived" | "checkedin" | "started" => "arrived",
        "attended" | "complete" | "completed" | "seen" => "attended",
        "pending" | "provisional" | "tentative" | "waitlist" => "provisional",
        "cancelled" | "canceled" => "cancelled",
        "dna" | "didnotattend" | "noshow" => "did not attend",
        "dc" | "discontinued" => "discontinued",
        "deleted" => "deleted",
        _ => "booked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_itks_subset_is_taken_and_queries_are_not() {
        let itk = "A01 A02 A03 A04 A05 A06 A07 A08 A11 A12 A13 A14 A15 A16 A21 A22 A25 A26 A27 A28 A31 A38 A40 A52 A53";
        for trigger in itk.split(' ') {
            assert!(structures("ADT", trigger).is_some(), "{trigger}");
            let identity = ["A08", "A28", "A31", "A40"].contains(&trigger);
            assert_eq!(encounter_status(trigger).is_none(), identity, "{trigger}");
        }
        for (kind, trigger) in
            [("ADT", "A19"), ("ADT", "A99"), ("SIU", "S18"), ("QBP", "Q21"), ("ORU", "R03")]
        {
            assert_eq!(structures(kind, trigger), None, "{kind}^{trigger}");
        }
    }

    #[test]
    fn one_appointment_is_cancelled_or_missed_whichever_way_it_is_said() {
        for (trigger, at_source, status) in [
            ("S12", "", "booked"),
            ("S13", "Booked", "booked"),
            ("S14", "Arrived", "arrived"),
            ("S14", "No-Show", "did not attend"),
            ("S14", "DNA", "did not attend"),
            ("S14", "Complete", "attended"),
            ("S14", "CANCELLED", "cancelled"),
            ("S12", "Pending", "provisional"),
            ("S13", "Waitlist", "provisional"),
            ("S14", "Started", "arrived"),
            ("S14", "Dc", "discontinued"),
            ("S14", "Deleted", "deleted"),
            ("S14", "Overbook", "booked"),
            ("S15", "Booked", "cancelled"),
            ("S16", "Booked", "discontinued"),
            ("S17", "Booked", "deleted"),
            ("S26", "Booked", "did not attend"),
        ] {
            assert_eq!(appointment_status(trigger, at_source), status, "{trigger} {at_source}");
        }
    }
}
