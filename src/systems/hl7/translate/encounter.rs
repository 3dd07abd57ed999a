//! What ADT says of a stay or an attendance: PV1.

use crate::domain::record::{FieldChange, ItemChange, ItemKind};

use super::{Reading, events::encounter_status};

impl Reading<'_, '_> {
    pub(super) fn encounter(&mut self) -> Option<ItemChange> {
        let visit = self.message.segment("PV1")?;
        let key = self.text(visit.field(19).component(1).bytes());
        if key.is_empty() {
            // Class N, not applicable (table 0004): the structure wants the segment, and there is no stay.
            if visit.field(2).component(1).bytes() != b"N" {
                self.fault("pv1-19-absent");
            }
            return None;
        }
        let fields = [
            ("patient_class", visit.field(2).value()),
            ("location", visit.field(3).component(1).value()),
            ("type", visit.field(4).component(1).value()),
            ("clinician", visit.field(7).component(1).value()),
            ("clinician_name", visit.field(7).component(2).value()),
            ("outcome", visit.field(36).component(1).value()),
        ];
        let mut item = self.item(ItemKind::Encounter, key, &fields);
        for (name, number) in [("started", 44), ("ended", 45)] {
            item.fields.extend(self.moment(name, visit.field(number).component(1).value()));
        }
        let has_ended = item.fields.iter().any(|(name, _)| *name == "ended");
        if self.header.trigger == "A13" && !has_ended {
            // A discharge that is cancelled leaves no end behind, whether its sender says so or not.
            item.fields.push(("ended", FieldChange::Delete));
        }
        let status = encounter_status(&self.header.trigger);
        item.fields.extend(status.map(|status| ("status", FieldChange::Set(status.to_owned()))));
        Some(item)
    }
}
