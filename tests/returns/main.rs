//! The returns as whole files: what is in them, what is not, and that nothing is counted twice or lost.
//!
//! `POLYGATE_GOLDEN=write` writes the files anew that this holds them to; look at every difference before it is kept.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test tells by panicking")]

#[path = "../support/contacts.rs"]
mod contacts;
mod funnel;
mod golden;
mod large;
mod privacy;
mod versions;

use polygate::{
    activity::{
        maps::Maps,
        privacy::Barred,
        returns::{
            Builder, Built, CommunityBuilder, ContractBuilder, Holding, InMemory, Job, NetChangeBuilder,
            Prices, ReturnKind, Settings, Shelf,
        },
    },
    domain::contact::{Contact, Dataset},
};

/// A hub's returns as they come to be: what was built, what was submitted, what the receiver holds.
struct Office {
    settings: Settings,
    barred: Barred,
    prices: Prices,
    maps: Maps,
    shelf: Shelf,
    files: InMemory,
    /// What the receiver holds, of the version that was submitted last.
    holding: Holding,
    now: polygate::domain::time::Timestamp,
}

impl Office {
    fn new() -> Self {
        let mut prices = Prices::default();
        prices.load(b"point of delivery,tariff,unit price,national,planned\nOPFASPCL,,95.25,Y,12\n").unwrap();
        prices
            .load_charges(b"kind,commissioner,point of delivery,count,unit price\ndrug,07W00,DRUG,3,410.10\n")
            .unwrap();
        Self {
            settings: contacts::settings(),
            barred: Barred::default(),
            maps: Maps::default(),
            prices,
            shelf: Shelf::default(),
            files: InMemory::default(),
            holding: Holding::default(),
            now: contacts::NOW,
        }
    }

    /// Builds the next version of a return of a month.
    fn build(&mut self, kind: ReturnKind, month: &str, contacts: &[(Contact, Dataset)]) -> Built {
        let period = month.parse().unwrap();
        let job = Job {
            period,
            kind,
            version: self.shelf.next_version(period, kind),
            settings: &self.settings,
            barred: &self.barred,
            maps: &self.maps,
            control: self.shelf.next_control(),
            now: self.now,
        };
        let files = &mut self.files;
        let built = match kind {
            ReturnKind::Outpatient | ReturnKind::EmergencyCare => {
                fill(NetChangeBuilder::begin(job, files, self.holding.clone()).unwrap(), contacts)
            }
            ReturnKind::CommunityServices => fill(CommunityBuilder::begin(job, files).unwrap(), contacts),
            ReturnKind::Contract => fill(ContractBuilder::begin(job, files, &self.prices).unwrap(), contacts),
        };
        self.shelf.add(&job, &built).unwrap();
        built
    }

    /// Submits a built version: from here on the receiver holds what it says.
    fn submit(&mut self, built: &Built) {
        let build = self.shelf.builds().last().unwrap().clone();
        self.shelf.submitted(build.period, build.kind, build.version, self.now).unwrap();
        self.holding = built.holding.clone().unwrap();
    }

    fn text(&self, name: &str) -> &str {
        std::str::from_utf8(&self.files.files[name]).unwrap()
    }
}

fn fill(mut builder: impl Builder, contacts: &[(Contact, Dataset)]) -> Built {
    for (contact, dataset) in contacts {
        builder.put(contact, *dataset).unwrap();
    }
    builder.finish().unwrap()
}
