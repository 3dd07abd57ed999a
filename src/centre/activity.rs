//! What hubs have told of contacts, put together: the same statements come to the same contacts as at the hubs, and what
//! two hubs tell of one contact is one contact here.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::{
    activity::{
        derive::{Ledger, Limits},
        funnel::{Funnel, Line},
        maps::{Maps, ToldMaps},
        summary::MonthSummary,
    },
    codec::cbor,
    domain::{
        contact::{Acceptance, EVIDENCE_KIND, Evidence, MAPS_KIND, Month},
        ids::HubId,
        time::Timestamp,
    },
};

/// Statements in memory at once: a polysystem's year of a million contacts with five statements each, at some 100 bytes.
const STATEMENTS_MAX: usize = 8_000_000;
/// The bytes of one entry.
const ENTRY_BYTES_MAX: usize = 16 << 20;

/// What has come of hubs' counting, as it is read from the store.
#[derive(Default)]
pub struct Gathered {
    maps: BTreeMap<HubId, (Timestamp, ToldMaps)>,
    statements: Vec<Evidence>,
    unreadable: u64,
}

/// What the centre makes of it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// Whether every sum comes out, and every statement was counted.
    pub adds_up: bool,
    /// Statements that could not be counted.
    pub refused: u64,
    /// Entries that could not be read.
    pub unreadable: u64,
    /// The month over all hubs.
    pub all: MonthSummary,
    /// The same of each hub that counts something in it.
    pub hubs: BTreeMap<HubId, MonthSummary>,
}

impl Gathered {
    /// Takes in an entry of a hub; others than those of counting are passed over.
    pub fn take(&mut self, hub: &HubId, kind: &str, raw: &[u8], at: Timestamp) {
        let read = match kind {
            EVIDENCE_KIND => self.take_statements(hub, raw),
            MAPS_KIND => self.take_maps(hub, raw, at),
            _ => return,
        };
        self.unreadable += u64::from(read.is_none());
    }

    fn take_statements(&mut self, hub: &HubId, raw: &[u8]) -> Option<()> {
        let told: Vec<Evidence> = cbor::decode(raw, ENTRY_BYTES_MAX).ok()?;
        // A hub speaks for itself alone.
        self.statements.extend(told.into_iter().filter(|one| one.id.hub == *hub));
        Some(())
    }

    fn take_maps(&mut self, hub: &HubId, raw: &[u8], at: Timestamp) -> Option<()> {
        let told: ToldMaps = cbor::decode(raw, ENTRY_BYTES_MAX).ok().filter(|told: &ToldMaps| told.v == 1)?;
        if self.maps.get(hub).is_none_or(|(before, _)| *before <= at) {
            self.maps.insert(hub.clone(), (at, told));
        }
        Some(())
    }

    /// Counts a month.
    pub fn check(self, month: Month) -> Checked {
        let Self { maps, statements, unreadable } = self;
        let (mut services, mut rows) = (Vec::new(), Vec::new());
        for (hub, (_, told)) in maps {
            services.extend(told.services.into_iter().filter(|service| service.hub == hub));
            rows.extend(told.rows);
        }
        let maps = Arc::new(Maps::new(services, rows));
        let limits = Limits { statements_max: STATEMENTS_MAX, ..Limits::default() };
        let mut ledger = Ledger::new(Arc::clone(&maps), limits);
        let (_, left) = ledger.take_all(statements);
        let refused = u64::try_from(left.len()).unwrap_or(u64::MAX);
        let mut all = Funnel::new(None);
        let mut hubs: BTreeMap<HubId, Funnel> = BTreeMap::new();
        for contact in ledger.contacts().filter(|contact| contact.month() == month) {
            let line = Line::of(&contact, &maps, &Acceptance::default());
            all.change(None, Some(&line));
            let own =
                hubs.entry(contact.hub.clone()).or_insert_with(|| Funnel::new(Some(contact.hub.clone())));
            own.change(None, Some(&line));
        }
        let summary = MonthSummary::of(&all, month);
        Checked {
            adds_up: summary.adds_up() && refused == 0 && unreadable == 0,
            refused,
            unreadable,
            all: summary,
            hubs: hubs.iter().map(|(hub, funnel)| (hub.clone(), MonthSummary::of(funnel, month))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contact::{EvidenceId, Facts, Patient, Reference, ReferenceKind, Said, SlotType};

    fn said(hub: &str, number: u32, said: Said) -> Evidence {
        let system = EvidenceId::system_at("rio", &hub.parse().unwrap());
        let reference =
            Reference { kind: ReferenceKind::Filler, issuer: Arc::clone(&system), value: "A1".into() };
        let at = Timestamp(1_795_000_000_000 + i64::from(number));
        Evidence {
            id: EvidenceId { hub: hub.parse().unwrap(), system, entry: number.to_string().into(), part: 0 },
            said,
            at,
            taken: at,
            references: vec![reference],
            replaces: Vec::new(),
            patient: Patient::default(),
            service: None,
            slot_type: SlotType::default(),
            owner: None,
            start: Some(Timestamp(1_795_000_000_000)),
            day: None,
            facts: Facts::default(),
            cleared: Vec::new(),
        }
    }

    fn take(gathered: &mut Gathered, hub: &str, told: &[Evidence]) {
        let raw = cbor::encode(&told).unwrap();
        gathered.take(&hub.parse().unwrap(), EVIDENCE_KIND, &raw, Timestamp(0));
    }

    #[test]
    fn two_hubs_systems_of_one_name_are_two_and_a_hub_speaks_for_itself() {
        let month = Month::at(Timestamp(1_795_000_000_000)).unwrap();
        let mut gathered = Gathered::default();
        take(&mut gathered, "soho", &[said("soho", 1, Said::Booked), said("soho", 2, Said::Attended)]);
        take(&mut gathered, "camden", &[said("camden", 1, Said::Booked), said("soho", 3, Said::Withdrawn)]);
        gathered.take(&"soho".parse().unwrap(), "ADT^A01", b"rubbish", Timestamp(0));
        let checked = gathered.check(month);
        assert_eq!(
            (checked.all.booked.opened, checked.all.attended, checked.all.booked.outstanding),
            (2, 1, 1)
        );
        assert!(checked.adds_up);
        let soho = &checked.hubs[&"soho".parse::<HubId>().unwrap()];
        assert_eq!((soho.booked.opened, soho.attended), (1, 1));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let month = Month::at(Timestamp(1_795_000_000_000)).unwrap();
        let mut gathered = Gathered::default();
        gathered.take(&"soho".parse().unwrap(), EVIDENCE_KIND, b"rubbish", Timestamp(0));
        let checked = gathered.check(month);
        assert_eq!((checked.adds_up, checked.unreadable), (false, 1));
    }
}
