//! The consumer against the simulated provider, and what tests have in common.

mod alone;
mod emitted;
mod together;

use std::time::Duration;

use crate::domain::{
    actor::{Device, Organisation, Practitioner, Reason, Requester},
    nhs_number::NhsNumber,
    slot::{AppointmentStatus, BookedAppointment, Booking, FreeSlot, PatientAtSystem, Place, Registration},
    time::Timestamp,
};

/// 2026-11-23T08:00:00Z, a Monday.
pub(crate) const NOW: Timestamp = Timestamp(1_795_420_800_000);

pub(crate) fn requester() -> Requester {
    Requester {
        organisation: Organisation {
            ods_code: "5LC01".to_owned(),
            name: "Westminster South polyclinic".to_owned(),
            kind: "urgent-care".to_owned(),
            telephone: "020 7946 0001".to_owned(),
        },
        practitioner: Practitioner {
            id: "reception-7".to_owned(),
            sds_user_id: Some("555012345678".to_owned()),
            sds_role_profile_id: None,
            job_role: "R8009".to_owned(),
            family_name: "Adeyemi".to_owned(),
            given_name: "Rosa".to_owned(),
            title: "Ms".to_owned(),
        },
        device: Device {
            id: "westminster-south".to_owned(),
            model: "polygate".to_owned(),
            version: "0.1.0".to_owned(),
        },
        reason: Reason::DirectCare,
    }
}

/// The `number`th ten minutes of a session that begins in an hour.
pub(crate) fn slot(number: u64) -> FreeSlot {
    let start = NOW.plus(Duration::from_secs(3000 + number * 600));
    FreeSlot {
        id: number.to_string(),
        schedule: "Schedule/14".to_owned(),
        start,
        end: start.plus(Duration::from_secs(600)),
        service: "General".to_owned(),
        session: "Surgery".to_owned(),
        delivery_channel: "In-person".to_owned(),
        location: Place { id: "L1".to_owned(), ..Place::default() },
        practitioner: None,
    }
}

pub(crate) fn booking(slots: &[u64]) -> Booking {
    Booking {
        patient: PatientAtSystem {
            id: "p1".to_owned(),
            nhs_number: NhsNumber::parse("9990000018").unwrap(),
            name: "Ben Clarke".to_owned(),
            birth_date: "1950-02-01".to_owned(),
            gender: "male".to_owned(),
            registration: "R".to_owned(),
        },
        slots: slots.iter().copied().map(slot).collect(),
        description: "Dressing".to_owned(),
        comment: "Needs a ground floor room".to_owned(),
    }
}

/// An appointment that stands and is to come.
pub(crate) fn booked() -> BookedAppointment {
    BookedAppointment {
        id: "9".to_owned(),
        version: "1".to_owned(),
        patient: "p1".to_owned(),
        status: AppointmentStatus::Booked,
        start: slot(1).start,
        end: slot(1).end,
        slots: vec!["1".to_owned()],
        description: "Dressing".to_owned(),
        comment: String::new(),
        created: String::new(),
        booked_by: "5LC01".to_owned(),
        delivery_channel: "In-person".to_owned(),
        cancellation_reason: String::new(),
    }
}

pub(crate) fn registration() -> Registration {
    Registration {
        nhs_number: NhsNumber::parse("9990000026").unwrap(),
        family_name: "Baptiste".to_owned(),
        given_names: vec!["Grace".to_owned()],
        birth_date: "1962-03-09".to_owned(),
        gender: "female".to_owned(),
        address_lines: vec!["4 Mill Hill".to_owned()],
        postcode: "W1A 1AA".to_owned(),
        telephone: "020 7946 0999".to_owned(),
    }
}
