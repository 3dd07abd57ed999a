//! What a contract costs: aggregate (ACM, whose total is the invoice) and by patient (PLCM).
//!
//! PLCM's total and ACM's differ by exactly the drugs and devices that the tariff does not contain. The names of columns
//! follow the data sets' field lists as far as they were seen, and are to be confirmed.

use std::{collections::BTreeMap, io};

use crate::{
    activity::codes::csv,
    domain::contact::{Contact, Dataset, Month, State},
};

use super::{
    Builder, Built, ChargeKind, Disposition, Files, Item, Job, Omission, Pence, Prices, ReturnKind,
    build::Common, files::Tally, prices::Price,
};

/// Lines of ACM; a polysystem has some thousands.
const LINES_MAX: usize = 200_000;

const ACM: [&str; 17] = [
    "FINANCIAL YEAR",
    "FINANCIAL MONTH",
    "DATE AND TIME DATA SET CREATED",
    "ORGANISATION IDENTIFIER (CODE OF PROVIDER)",
    "ORGANISATION SITE IDENTIFIER (OF TREATMENT)",
    "ORGANISATION IDENTIFIER (CODE OF COMMISSIONER)",
    "GENERAL MEDICAL PRACTICE (PATIENT REGISTRATION)",
    "ACTIVITY TREATMENT FUNCTION CODE",
    "LOCAL SUB-SPECIALTY CODE",
    "POINT OF DELIVERY CODE",
    "TARIFF CODE",
    "NATIONAL TARIFF INDICATOR",
    "ACTIVITY UNIT PRICE",
    "PLANNED ACTIVITY",
    "ACTUAL ACTIVITY",
    "PLANNED PRICE",
    "ACTUAL PRICE",
];
const PLCM: [&str; 15] = [
    "FINANCIAL YEAR",
    "FINANCIAL MONTH",
    "DATE AND TIME DATA SET CREATED",
    "ORGANISATION IDENTIFIER (CODE OF PROVIDER)",
    "ORGANISATION SITE IDENTIFIER (OF TREATMENT)",
    "ORGANISATION IDENTIFIER (CODE OF COMMISSIONER)",
    "GENERAL MEDICAL PRACTICE (PATIENT REGISTRATION)",
    "NHS NUMBER",
    "NHS NUMBER STATUS INDICATOR CODE",
    "CARE CONTACT IDENTIFIER",
    "ACTIVITY DATE",
    "ACTIVITY TREATMENT FUNCTION CODE",
    "POINT OF DELIVERY CODE",
    "TARIFF CODE",
    "TOTAL COST",
];

/// What one line of ACM is about, in the order of its columns.
type Line = [String; 7];

#[derive(Clone, Copy, Default)]
struct Sum {
    count: u64,
    unit_price: Pence,
    is_national: bool,
}

/// A contract's return under way.
pub struct ContractBuilder<'a, F: Files> {
    common: Common<'a, F>,
    prices: &'a Prices,
    plcm: Tally<F::File>,
    lines: BTreeMap<(Line, i64), Sum>,
}

impl<'a, F: Files> ContractBuilder<'a, F> {
    /// Begins it.
    ///
    /// # Errors
    /// If the settings are not fit, the job is for another return, or a file cannot be made.
    pub fn begin(job: Job<'a>, files: &'a mut F, prices: &'a Prices) -> io::Result<Self> {
        if job.kind != ReturnKind::Contract {
            return Err(io::Error::other("the job is for another return"));
        }
        let common = Common::new(job, files)?;
        let mut plcm = Tally::create(&mut *common.files, job.file_name("_plcm.csv"))?;
        csv::write(&mut plcm, PLCM)?;
        Ok(Self { common, prices, plcm, lines: BTreeMap::new() })
    }

    fn disposition(&mut self, contact: &Contact, dataset: Dataset) -> io::Result<Disposition> {
        let attended = || if contact.state == State::Attended { Ok(()) } else { Err(Omission::NotAttended) };
        let admitted = self.common.admit(contact, dataset).and_then(|()| attended());
        let price = admitted
            .and_then(|()| self.common.is_complete())
            .and_then(|()| self.prices.of(contact).ok_or(Omission::NoPrice));
        match price {
            Err(why) => Ok(Disposition::Omitted(why)),
            Ok(price) => self.write(price).map(|()| Disposition::Written),
        }
    }

    fn write(&mut self, price: Price) -> io::Result<()> {
        let record = &self.common.record;
        let [year, month, created] = &heading(&self.common.job);
        let cost = price.unit_price.to_string();
        let cells = [
            &**year,
            month,
            created,
            record.get(Item::Provider),
            record.get(Item::Site),
            record.get(Item::Commissioner),
            record.get(Item::Practice),
            record.get(Item::NhsNumber),
            record.get(Item::NumberStatus),
            record.get(Item::CareContact),
            record.get(Item::ActivityDate),
            record.get(Item::TreatmentFunction),
            record.get(Item::PointOfDelivery),
            record.get(Item::Tariff),
            &cost,
        ];
        csv::write(&mut self.plcm, cells)?;
        self.plcm.rows += 1;
        let of = [
            Item::Site,
            Item::Commissioner,
            Item::Practice,
            Item::TreatmentFunction,
            Item::SubSpecialty,
            Item::PointOfDelivery,
            Item::Tariff,
        ];
        let line = of.map(|item| record.get(item).to_owned());
        self.add(line, price, 1)
    }

    fn add(&mut self, line: Line, price: Price, count: u64) -> io::Result<()> {
        if LINES_MAX <= self.lines.len() {
            return Err(io::Error::other("the contract has too many lines"));
        }
        let sum = self.lines.entry((line, price.unit_price.0)).or_default();
        *sum = Sum { count: sum.count + count, unit_price: price.unit_price, is_national: price.is_national };
        let times = i64::try_from(count).unwrap_or(i64::MAX);
        self.common.cost(price.unit_price.0.saturating_mul(times));
        Ok(())
    }

    fn charges(&mut self) -> io::Result<()> {
        for charge in self.prices.charges() {
            let what = match charge.kind {
                ChargeKind::Activity => continue,
                ChargeKind::Drug => "DRUG",
                ChargeKind::Device => "DEVICE",
            };
            let mut line = Line::default();
            let [_, commissioner, _, _, _, point, tariff] = &mut line;
            commissioner.push_str(charge.commissioner.as_str());
            point.push_str(charge.point_of_delivery.as_str());
            tariff.push_str(what);
            let price = Price { unit_price: charge.unit_price, is_national: false };
            self.add(line, price, u64::from(charge.count))?;
        }
        Ok(())
    }

    fn acm(&mut self) -> io::Result<super::BuiltFile> {
        let job = self.common.job;
        let mut acm = Tally::create(&mut *self.common.files, job.file_name("_acm.csv"))?;
        csv::write(&mut acm, ACM)?;
        let [year, month, created] = &heading(&job);
        let mut told = std::collections::BTreeSet::new();
        for (([site, commissioner, practice, function, sub, point, tariff], _), sum) in &self.lines {
            let count = i64::try_from(sum.count).unwrap_or(i64::MAX);
            let actual = Pence(sum.unit_price.0.saturating_mul(count)).to_string();
            // What is planned stands once, in the first line of its point of delivery.
            let planned = if told.insert(point) { self.prices.planned(point) } else { 0 };
            let planned_price = Pence(sum.unit_price.0.saturating_mul(i64::from(planned))).to_string();
            let cells = [
                &**year,
                month,
                created,
                job.settings.provider.as_str(),
                site,
                commissioner,
                practice,
                function,
                sub,
                point,
                tariff,
                if sum.is_national { "Y" } else { "N" },
                &sum.unit_price.to_string(),
                &planned.to_string(),
                &sum.count.to_string(),
                &planned_price,
                &actual,
            ];
            csv::write(&mut acm, cells)?;
            acm.rows += 1;
        }
        acm.close(self.common.files)
    }
}

impl<F: Files> Builder for ContractBuilder<'_, F> {
    fn put(&mut self, contact: &Contact, dataset: Dataset) -> io::Result<Disposition> {
        let disposition = self.disposition(contact, dataset)?;
        self.common.count(contact, disposition)
    }

    fn finish(mut self) -> io::Result<Built> {
        self.charges()?;
        let acm = self.acm()?;
        let plcm = self.plcm.close(self.common.files)?;
        self.common.finish(vec![acm, plcm], None)
    }
}

/// Financial year (`202627` from April 2026), month of it (April is 1), and when it was created.
fn heading(job: &Job<'_>) -> [String; 3] {
    let first = Month::first_day(job.period);
    let is_spring = 4 <= first.month();
    let year = if is_spring { first.year() } else { first.year() - 1 };
    let month = if is_spring { first.month() - 3 } else { first.month() + 9 };
    let created = super::record::local(job.now).map(|now| now.strftime("%Y-%m-%dT%H:%M:%S").to_string());
    [format!("{year}{:02}", (year + 1) % 100), format!("{month:02}"), created.unwrap_or_default()]
}
