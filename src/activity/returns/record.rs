//! One contact as the data items of a return: what is known, as far as each item can hold it.

use std::{fmt, fmt::Write as _, sync::OnceLock};

use jiff::{civil::Date, tz::TimeZone};

use crate::{
    activity::{
        codes::derived::{self, NoCode},
        maps::ServiceProfile,
    },
    domain::{
        contact::{Code, Contact, ContactKind, Decided, NumberStatus, State},
        time::Timestamp,
    },
};

use super::{Item, Omission, Settings, items::Kind};

/// Which structure the patient's identity has in a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// The NHS number is verified: it stands for the patient.
    Verified,
    /// It is not: number as far as known, postcode and date of birth.
    Unverified,
    /// Somebody has decided that nobody may know: neither number nor address nor date of birth.
    Withheld,
}

/// A list of codes in a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coded {
    /// Diagnoses.
    Diagnoses,
    /// Procedures.
    Procedures,
    /// Investigations.
    Investigations,
}

/// The items of one contact; used again for the next, so that a month needs no memory. `Debug` shows none.
pub struct Record {
    values: Vec<String>,
    identity: Identity,
    codes: [Vec<Code>; 3],
    left_out: Vec<Item>,
    attended: Result<(), NoCode>,
    first: Result<(), NoCode>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} items)", self.values.iter().filter(|value| !value.is_empty()).count())
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            values: vec![String::new(); Item::ALL.len()],
            identity: Identity::Unverified,
            codes: [const { Vec::new() }; 3],
            left_out: Vec::new(),
            attended: Ok(()),
            first: Ok(()),
        }
    }
}

impl Record {
    /// An item's value; empty if there is none.
    pub fn get(&self, item: Item) -> &str {
        self.values.get(item.place()).map(String::as_str).unwrap_or_default()
    }

    /// How the patient is identified.
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    /// The codes of a list.
    pub fn codes(&self, list: Coded) -> &[Code] {
        let [diagnoses, procedures, investigations] = &self.codes;
        match list {
            Coded::Diagnoses => diagnoses,
            Coded::Procedures => procedures,
            Coded::Investigations => investigations,
        }
    }

    /// Items that are known, but that their definition has no room for.
    pub fn left_out(&self) -> &[Item] {
        &self.left_out
    }

    /// Whether it has both codes that follow from the facts, as CDS 6.2 needs them.
    ///
    /// # Errors
    /// Says why one is missing.
    pub fn outpatient_codes(&self) -> Result<(), Omission> {
        self.attended.and(self.first).map_err(Omission::NoCode)
    }

    /// Sets an item. What does not fit is left out: half an identifier names somebody else.
    pub fn set(&mut self, item: Item, value: &str) {
        let value = value.trim();
        let fits = value.chars().count() <= item.length_max();
        if !fits {
            self.left_out.push(item);
        }
        if let Some(slot) = self.values.get_mut(item.place()) {
            slot.clear();
            slot.push_str(if fits { value } else { "" });
        }
    }

    /// Makes it the record of a contact at a service. `today` decides whether the contact is still to come.
    pub fn fill(
        &mut self,
        contact: &Contact,
        settings: &Settings,
        profile: Option<&ServiceProfile>,
        today: Date,
    ) {
        self.values.iter_mut().for_each(String::clear);
        self.codes.iter_mut().for_each(Vec::clear);
        self.left_out.clear();
        self.header(contact, settings);
        self.patient(contact, settings);
        self.person(contact);
        self.pathway(contact);
        self.referral(contact);
        self.attendance(contact, settings, today);
        self.service(contact, profile);
        self.community(contact);
        self.emergency(contact);
        self.contract(contact, settings);
        let facts = &contact.facts;
        // Nothing was done where nobody was seen, whatever somebody entered.
        if contact.state == State::Attended {
            let lists = [&facts.diagnoses, &facts.procedures, &facts.investigations];
            for (codes, fact) in self.codes.iter_mut().zip(lists) {
                codes.extend(fact.iter().flat_map(|fact| fact.value.iter().copied()));
            }
        }
        if self.identity == Identity::Withheld {
            self.withhold();
        }
    }

    fn header(&mut self, contact: &Contact, settings: &Settings) {
        self.set(Item::UniqueIdentifier, &unique_identifier(contact, settings));
        self.date(Item::ActivityDate, Some(contact.day));
        self.set(Item::Sender, settings.sender.as_str());
        self.set(Item::Recipient, settings.recipient.as_str());
    }

    fn patient(&mut self, contact: &Contact, settings: &Settings) {
        let patient = &contact.patient;
        let status = match (patient.nhs_number, patient.status) {
            (Some(_), Some(status)) => status,
            (Some(_), None) => NumberStatus::NotTraced,
            // Verified, not traced: what is not there is neither.
            (None, Some(NumberStatus::Verified | NumberStatus::NotTraced) | None) => {
                NumberStatus::TraceRequired
            }
            (None, Some(status)) => status,
        };
        self.set(Item::NumberStatus, status.word());
        self.set(
            Item::NhsNumber,
            patient.nhs_number.as_ref().map(|number| number.as_str()).unwrap_or_default(),
        );
        let own = patient.local.iter().find(|id| id.system == contact.owner).or(patient.local.first());
        if let Some(id) = own {
            self.set(Item::LocalPatient, &id.value);
            self.set(Item::LocalPatientExtended, &id.value);
            let issuer = settings.local_issuers.get(&id.system).copied().unwrap_or(settings.provider);
            self.set(Item::LocalPatientIssuer, issuer.as_str());
        }
        self.identity = match (status, contact.facts.withheld_reason) {
            (_, Some(_)) => Identity::Withheld,
            (NumberStatus::Verified, None) => Identity::Verified,
            _ => Identity::Unverified,
        };
        self.code(Item::WithheldReason, contact.facts.withheld_reason);
        let flag = if self.identity == Identity::Withheld { "1" } else { "" };
        self.set(Item::WithheldFlag, flag);
    }

    fn person(&mut self, contact: &Contact) {
        let facts = &contact.facts;
        self.code(Item::Postcode, facts.postcode);
        self.code(Item::Residence, facts.residence);
        self.code(Item::Gender, facts.gender);
        self.code(Item::EthnicCategory, facts.ethnic_category);
        self.code(Item::CarerSupport, facts.carer_support);
        self.code(Item::Language, facts.language);
        self.code(Item::OverseasVisitor, facts.overseas_visitor);
        self.date(Item::BirthDate, facts.birth_date.map(|fact| fact.value));
        self.date(Item::DeathDate, facts.death_date.map(|fact| fact.value));
        let age = facts.birth_date.and_then(|birth| age(birth.value, contact.day));
        // 999 says that it is not known.
        self.set(Item::Age, &age.unwrap_or(999).to_string());
        self.code(Item::Practice, facts.practice);
        self.code(Item::Practitioner, facts.practitioner);
    }

    fn pathway(&mut self, contact: &Contact) {
        let facts = &contact.facts;
        self.code(Item::BookingReference, facts.booking_reference);
        self.code(Item::Pathway, facts.pathway);
        self.code(Item::PathwayIssuer, facts.pathway_issuer);
        self.code(Item::TreatmentStatus, facts.treatment_status);
        self.code(Item::WaitingMeasure, facts.waiting_measure);
        self.date(Item::TreatmentStart, facts.treatment_start.map(|fact| fact.value));
        self.date(Item::TreatmentEnd, facts.treatment_end.map(|fact| fact.value));
    }

    fn referral(&mut self, contact: &Contact) {
        let facts = &contact.facts;
        self.set(Item::Priority, facts.priority.map_or("", |fact| derived::priority(fact.value)));
        self.code(Item::ServiceRequested, facts.service_requested);
        self.code(Item::ReferralSource, facts.referral_source);
        self.date(Item::ReferralReceived, facts.referral_received.map(|fact| fact.value));
        self.code(Item::Referrer, facts.referrer);
        self.code(Item::ReferringOrganisation, facts.referring_organisation);
    }

    fn attendance(&mut self, contact: &Contact, settings: &Settings, today: Date) {
        let facts = &contact.facts;
        self.set(Item::Attendance, &contact.id.short());
        let [attended, first, medium] = derived::side_by_side(contact, today);
        self.attended = attended.code_6_2.map(drop);
        self.first = first.code_6_2.map(drop);
        let code = |code: derived::Code| code.map_or("", |derived| derived.code);
        self.set(Item::Attended, code(attended.code_6_2));
        self.set(Item::AttendanceStatus, code(attended.code_6_3));
        self.set(Item::FirstAttendance, code(first.code_6_2));
        self.set(Item::ConsultationType, code(first.code_6_3));
        self.set(Item::Medium, code(medium.code_6_2));
        self.set(Item::Mechanism, code(medium.code_6_3));
        // An appointment that is still to come has no outcome.
        let outcome = facts.outcome.filter(|_| contact.state != State::Outstanding);
        self.set(Item::Outcome, outcome.map_or("", |fact| derived::outcome(fact.value)));
        self.date(Item::AppointmentDate, Some(contact.day));
        self.time(Item::AppointmentTime, contact.start);
        let minutes = facts.duration_minutes.map(|fact| fact.value.to_string());
        self.set(Item::Duration, &minutes.unwrap_or_default());
        self.code(Item::Consultant, facts.clinician);
        self.code(Item::Clinician, facts.clinician);
        self.code(Item::SubSpecialty, facts.sub_specialty);
        self.code(Item::AdministrativeCategory, facts.administrative_category);
        self.code(Item::StaffType, facts.staff_type);
        self.code(Item::OperationStatus, facts.operation_status);
        self.code(Item::MultiProfessional, facts.multi_professional);
        self.date(Item::EarliestOffer, facts.earliest_offer.map(|fact| fact.value));
        self.date(Item::EarliestAppropriate, facts.earliest_appropriate.map(|fact| fact.value));
        self.code(Item::LocationClass, facts.location_class);
        self.code(Item::Site, facts.site);
        let location = facts.location_type.map_or(settings.location_type, |fact| fact.value);
        self.set(Item::LocationType, location.as_str());
        self.code(Item::Clinic, facts.clinic);
    }

    /// What the service is, where the contact does not say otherwise.
    fn service(&mut self, contact: &Contact, profile: Option<&ServiceProfile>) {
        let facts = &contact.facts;
        let stated = |fact: Option<Decided<Code>>, of: fn(&ServiceProfile) -> Option<Code>| {
            fact.map(|fact| fact.value).or_else(|| profile.and_then(of))
        };
        for (item, value) in [
            (Item::MainSpecialty, stated(facts.main_specialty, |profile| profile.main_specialty)),
            (Item::TreatmentFunction, stated(facts.treatment_function, |profile| profile.treatment_function)),
        ] {
            self.set(item, value.as_ref().map(Code::as_str).unwrap_or_default());
        }
    }

    fn community(&mut self, contact: &Contact) {
        let facts = &contact.facts;
        self.set(Item::CareContact, &contact.id.to_string());
        self.code(Item::Referral, facts.referral);
        self.date(Item::ReferralClosed, facts.referral_closed.map(|fact| fact.value));
        self.code(Item::Team, facts.team);
        self.set(Item::Group, facts.group.map_or("", |group| if group.value { "Y" } else { "N" }));
        self.code(Item::CancellationReason, facts.cancellation_reason);
        self.date(Item::ReplacementOffered, facts.replacement_offered.map(|fact| fact.value));
        self.date(Item::ReplacementBooked, facts.replacement_booked.map(|fact| fact.value));
    }

    fn emergency(&mut self, contact: &Contact) {
        let facts = &contact.facts;
        self.code(Item::DepartmentType, facts.department_type);
        self.code(Item::ArrivalMode, facts.arrival_mode);
        self.code(Item::AttendanceCategory, facts.attendance_category);
        self.code(Item::AttendanceSource, facts.attendance_source);
        let arrived = facts.arrived_at.map(|fact| fact.value);
        // Who walked in came when it was first spoken of, if nobody says otherwise.
        let walked_in = (contact.kind == ContactKind::WalkIn).then(|| contact.moment());
        self.moment(Item::ArrivedAt, arrived.or(walked_in));
        self.moment(Item::AssessedAt, facts.assessed_at.map(|fact| fact.value));
        self.moment(Item::SeenAt, facts.seen_at.map(|fact| fact.value));
        self.moment(Item::LeftAt, facts.left_at.map(|fact| fact.value));
        self.code(Item::Acuity, facts.acuity);
        self.code(Item::ChiefComplaint, facts.chief_complaint);
        self.code(Item::DischargeStatus, facts.discharge_status);
        self.code(Item::DischargeDestination, facts.discharge_destination);
        self.code(Item::DischargeFollowUp, facts.discharge_follow_up);
    }

    fn contract(&mut self, contact: &Contact, settings: &Settings) {
        let facts = &contact.facts;
        self.set(Item::Provider, facts.provider.map_or(settings.provider, |fact| fact.value).as_str());
        self.code(Item::Commissioner, facts.commissioner);
        self.code(Item::SerialNumber, facts.commissioning_serial);
        self.code(Item::AgreementLine, facts.agreement_line);
        self.code(Item::ProviderReference, facts.provider_reference);
        self.code(Item::CommissionerReference, facts.commissioner_reference);
        self.code(Item::PointOfDelivery, facts.point_of_delivery);
        self.code(Item::Tariff, facts.tariff);
    }

    /// Takes away by what somebody could be known. The status of a record without identity is 07.
    fn withhold(&mut self) {
        const KNOWN_BY: [Item; 12] = [
            Item::NhsNumber,
            Item::LocalPatient,
            Item::LocalPatientExtended,
            Item::LocalPatientIssuer,
            Item::Postcode,
            Item::BirthDate,
            Item::DeathDate,
            Item::BookingReference,
            Item::Pathway,
            Item::PathwayIssuer,
            Item::Practitioner,
            Item::Referral,
        ];
        KNOWN_BY.into_iter().for_each(|item| self.set(item, ""));
        self.set(Item::NumberStatus, NumberStatus::NotRequired.word());
    }

    fn code(&mut self, item: Item, fact: Option<Decided<Code>>) {
        self.set(item, fact.as_ref().map(|fact| fact.value.as_str()).unwrap_or_default());
    }

    fn date(&mut self, item: Item, date: Option<Date>) {
        self.write(item, date.map(|date| date.strftime("%Y-%m-%d")));
    }

    fn time(&mut self, item: Item, at: Option<Timestamp>) {
        self.write(item, at.and_then(local).map(|at| at.time().strftime("%H:%M:%S").to_string()));
    }

    fn moment(&mut self, item: Item, at: Option<Timestamp>) {
        debug_assert_eq!(item.kind(), Kind::Moment);
        self.write(item, at.and_then(local).map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()));
    }

    fn write(&mut self, item: Item, value: Option<impl fmt::Display>) {
        let Some(slot) = self.values.get_mut(item.place()) else { return };
        slot.clear();
        if let Some(value) = value
            && write!(slot, "{value}").is_err()
        {
            slot.clear();
        }
    }
}

/// CDS UNIQUE IDENTIFIER: `B`, the provider and the contact's name; the same for ever.
pub fn unique_identifier(contact: &Contact, settings: &Settings) -> String {
    format!("B{}{}", settings.provider, contact.id)
}

/// A moment by London's clocks; none for moments that no calendar has.
pub fn local(at: Timestamp) -> Option<jiff::Zoned> {
    static LONDON: OnceLock<TimeZone> = OnceLock::new();
    let zone = LONDON.get_or_init(|| TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));
    Some(jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(zone.clone()))
}

/// Whole years; none if they were born later, or are older than anybody ever was.
fn age(birth: Date, on: Date) -> Option<i16> {
    let had_birthday = (birth.month(), birth.day()) <= (on.month(), on.day());
    let years = on.year() - birth.year() - i16::from(!had_birthday);
    (birth <= on && years <= 130).then_some(years)
}
