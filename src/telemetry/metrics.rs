//! The name, kind and meaning of every measurement the hub offers; `docs/operations.md` refers to this list.
//!
//! Names are `polygate_<what>_<unit>`; the exposition adds `_total` to counters. Every measurement has the label
//! `hub`; labels beyond it are named here and take few values: classes, configured systems, alarm codes.

/// How a measurement behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Grows, and begins again at zero when the program starts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1; its labels are what it says.
    Info,
}

/// One measurement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metric {
    /// Its name, without the suffix that its kind or unit adds.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its unit, which the exposition adds to the name: `seconds` or `bytes`, or none for a count.
    pub unit: Option<&'static str>,
    /// Its labels beside `hub`.
    pub labels: &'static [&'static str],
    /// What it says, in one line without a full stop, which the exposition adds.
    pub help: &'static str,
}

/// Declares each measurement as a constant, and the list of all of them.
macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal [$($label:literal),*] $unit:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: concat!("polygate_", $name),
                kind: Kind::$kind,
                unit: $unit,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every measurement, in the order of the exposition.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");

metrics! {
    BUILD Info "build" ["version"] None, "The program's version";
    UPTIME Gauge "uptime" [] SECONDS, "Since the program started";
    CONDITION Gauge "condition" ["condition"] None, "1 for the hub's present condition, 0 for the others: ok, degraded, refusing";
    ALARMS Gauge "alarms" ["code"] None, "Alarms that stand, by code";
    CLOCK_SYNCHRONISED Gauge "clock_synchronised" [] None, "1 if the clock is disciplined by a time source";

    QUEUE_ENTRIES Gauge "queue_entries" ["class"] None, "Entries that the centre has not confirmed";
    QUEUE_OLDEST_AGE Gauge "queue_oldest_age" ["class"] SECONDS, "Age of the oldest entry that the centre has not confirmed; 0 if there is none";

    JOURNAL_ACCEPTING Gauge "journal_accepting" [] None, "1 if the journal takes entries";
    JOURNAL_SILENCE Gauge "journal_silence" [] SECONDS, "Since the journal's writer last answered";
    JOURNAL_USED Gauge "journal_used" [] BYTES, "Disk space that the journal takes";
    JOURNAL_CAPACITY Gauge "journal_capacity" [] BYTES, "Disk space that the journal may take";
    JOURNAL_EPOCH Gauge "journal_epoch" [] None, "The epoch that entries are appended to";
    JOURNAL_ENTRIES Counter "journal_entries" [] None, "Entries appended";
    JOURNAL_APPENDED Counter "journal_appended" [] BYTES, "Bytes appended";
    JOURNAL_COMMITS Counter "journal_commits" [] None, "Commits, each one fdatasync";
    JOURNAL_REFUSED_FULL Counter "journal_refused_full" [] None, "Entries refused for want of room";
    JOURNAL_FAILED_COMMITS Counter "journal_failed_commits" [] None, "Commits that the disk failed";
    JOURNAL_DAMAGED Counter "journal_damaged" [] BYTES, "Synchronised bytes found damaged";

    LINK_UP Gauge "link_up" ["system"] None, "1 if the system's link is up or waits for the system, 0 if it does not work";
    LINK_CONNECTIONS Gauge "link_connections" ["system"] None, "Connections of the system now";
    LINK_ACCEPTED Counter "link_accepted" ["system"] None, "Messages acknowledged as accepted, repetitions included";
    LINK_REPEATED Counter "link_repeated" ["system"] None, "Messages that had been accepted before";
    LINK_REFUSED Counter "link_refused" ["system"] None, "Messages refused";
    LINK_LAST_MESSAGE_AGE Gauge "link_last_message_age" ["system"] SECONDS, "Since the system's newest message; absent before the first";

    DELIVERY_UP Gauge "delivery_up" ["destination"] None, "1 unless nothing can be delivered to the system";
    DELIVERY_QUEUED Gauge "delivery_queued" ["destination"] None, "Messages that the system is still to have, without parked ones; 10,000 at most are counted";
    DELIVERY_OLDEST_AGE Gauge "delivery_oldest_age" ["destination"] SECONDS, "Age of the oldest message that waits to be delivered; 0 if there is none";
    DELIVERY_PARKED Gauge "delivery_parked" ["destination"] None, "Messages that the system refused for good, waiting for a decision";
    DELIVERY_HELD Gauge "delivery_held" ["destination"] None, "Messages that wait behind parked ones of the same patients";
    DELIVERY_ACCEPTED Counter "delivery_accepted" ["destination"] None, "Messages that the system took";
    DELIVERY_AGAIN Counter "delivery_again" ["destination"] None, "Attempts that the system refused for the time being or did not answer";
    DELIVERY_MISSED Counter "delivery_missed" ["destination"] None, "Messages that were gone before they could be delivered";
    DELIVERY_LAST_ACCEPTED_AGE Gauge "delivery_last_accepted_age" ["destination"] SECONDS, "Since the system last took a message; absent before the first";

    CENTRE_UP Gauge "centre_up" [] None, "1 if the hub is connected to the centre";
    CENTRE_CONNECTIONS Counter "centre_connections" [] None, "Connections made to the centre";
    CENTRE_BATCHES Counter "centre_batches" [] None, "Batches sent to the centre, repetitions included";
    CENTRE_SENT Counter "centre_sent" [] BYTES, "Bytes of batches sent to the centre";
    CENTRE_CONFIRMED Counter "centre_confirmed" [] None, "Entries that the centre confirmed";
    CENTRE_RECEIPT_AGE Gauge "centre_receipt_age" [] SECONDS, "Since the newest receipt; absent before the first";

    PARKED Gauge "parked" [] None, "Entries that the broker or the centre refused, waiting for a decision";
    QUARANTINED Gauge "quarantined" [] None, "Messages that could not be taken in, kept aside";

    VIEW_PATIENTS Gauge "view_patients" [] None, "Patients in the record view";
    VIEW_APPLIED Counter "view_applied" [] None, "Entries applied to the record view";
    VIEW_CAUGHT_UP Gauge "view_caught_up" [] None, "1 if everything accepted is in the record view";
    VIEW_REBUILDING Gauge "view_rebuilding" [] None, "1 while the record view is made anew";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_lower_case_and_without_reserved_endings() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(metric.name.bytes().all(legal), "{}", metric.name);
            for ending in ["_total", "_info", "_created", "_count", "_sum", "_seconds", "_bytes", "_"] {
                assert!(!metric.name.ends_with(ending), "{} ends with {ending}", metric.name);
            }
            assert!(!metric.help.ends_with('.') && !metric.help.contains('\n'), "{}", metric.name);
        }
    }
}
