//! What SIU says of an appointment: SCH, AIS, AIL and AIP.

use crate::{
    codec::hl7v2::{Segment, Value},
    domain::record::{FieldChange, ItemChange, ItemKind},
};

use super::{Reading, events::appointment_status, set};

impl<'a> Reading<'_, 'a> {
    pub(super) fn appointment(&mut self) -> Option<ItemChange> {
        let schedule = self.message.segment("SCH")?;
        let (placer, filler) = (schedule.field(1).component(1), schedule.field(2).component(1));
        let of_filler = self.text(filler.bytes());
        let key = if of_filler.is_empty() { self.text(placer.bytes()) } else { of_filler };
        if key.is_empty() {
            self.fault("sch-1-and-2-absent");
            return None;
        }
        let [service, location, clinician] = ["AIS", "AIL", "AIP"].map(|name| self.message.segment(name));
        let of = |segment: Option<Segment<'a>>, field: usize, component: usize| {
            segment.map_or(Value::Absent, |segment| segment.field(field).component(component).value())
        };
        let fields = [
            ("placer_id", placer.value()),
            ("filler_id", filler.value()),
            ("reason", schedule.field(7).component(2).value()),
            ("type", schedule.field(8).component(1).value()),
            // Whoever has only words, or only a code, says that.
            ("service", either(of(service, 3, 2), of(service, 3, 1))),
            ("location", either(of(location, 3, 1), of(location, 3, 9))),
            ("clinician", either(of(clinician, 3, 1), of(clinician, 3, 2))),
            ("status_at_source", schedule.field(25).component(1).value()),
        ];
        let mut item = self.item(ItemKind::Appointment, key, &fields);
        self.times(&schedule, service, &mut item);
        let at_source = self.text(schedule.field(25).component(1).bytes());
        let status = appointment_status(&self.header.trigger, &at_source);
        if matches!(status, "cancelled" | "discontinued" | "deleted") {
            let reason = schedule.field(6);
            let words = [reason.component(2), reason.component(1)].map(|part| self.text(part.bytes()));
            let said = words.into_iter().find(|words| !words.is_empty());
            item.fields.extend(said.and_then(|said| set("cancellation_reason", said)));
        }
        item.fields.push(("status", FieldChange::Set(status.to_owned())));
        Some(item)
    }

    /// Start, end and duration: of the schedule, else of the service.
    fn times(&mut self, schedule: &Segment<'a>, service: Option<Segment<'a>>, item: &mut ItemChange) {
        let of_service =
            |field: usize| service.map_or(Value::Absent, |service| service.field(field).component(1).value());
        let timing = schedule.field(11);
        let start = match timing.component(4).value() {
            Value::Absent => of_service(4),
            start => start,
        };
        item.fields.extend(self.moment("start", start));
        item.fields.extend(self.moment("end", timing.component(5).value()));
        let of_schedule = (schedule.field(9).value(), schedule.field(10).component(1).bytes());
        let (duration, units) = match (of_schedule, service) {
            ((Value::Absent, _), Some(service)) => (of_service(7), service.field(8).component(1).bytes()),
            (of_schedule, _) => of_schedule,
        };
        let units = self.text(units);
        match duration {
            Value::Set(bytes) => {
                let minutes = minutes(&self.text(bytes), &units);
                if minutes.is_none() {
                    self.fault("duration-not-understood");
                }
                item.fields.extend(minutes.and_then(|minutes| set("duration", minutes)));
            }
            other => item.fields.extend(self.change("duration", other)),
        }
    }
}

/// The first, unless it says nothing.
fn either<'a>(first: Value<'a>, second: Value<'a>) -> Value<'a> {
    if first == Value::Absent { second } else { first }
}

/// A duration in minutes. Without units it is in minutes, as HL7 v2.4 has it for SCH-9 and every sender means it.
pub(in crate::systems::hl7) fn minutes(duration: &str, units: &str) -> Option<String> {
    let number: u32 = duration.parse().ok()?;
    let minutes = match units.to_ascii_uppercase().as_str() {
        "" | "M" | "MIN" | "MINS" | "MINUTE" | "MINUTES" => number,
        "H" | "HR" | "HRS" | "HOUR" | "HOURS" => number.checked_mul(60)?,
        "S" | "SEC" | "SECS" | "SECOND" | "SECONDS" => number.div_ceil(60),
        _ => return None,
    };
    Some(minutes.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_minutes_or_not_said() {
        for (duration, units, expected) in [
            ("20", "MIN", Some("20")),
            ("20", "", Some("20")),
            ("2", "hr", Some("120")),
            ("90", "S", Some("2")),
            ("4294967295", "H", None),
            ("20", "fortnights", None),
            ("soon", "MIN", None),
        ] {
            assert_eq!(minutes(duration, units).as_deref(), expected, "{duration} {units}");
        }
    }
}
