//! A general practice's system as a hub asks it, at a port on loopback.

use std::sync::Arc;

use polygate::{
    domain::{
        actor::{Device, Organisation, Practitioner, Reason, Requester},
        nhs_number::NhsNumber,
        slot::PatientAtSystem,
        time::Timestamp,
    },
    sys::{clock::SimulatedClock, entropy::Entropy},
    systems::gp_connect::{GpConnect, Options, Profile, RecordPart},
};

/// The practice Y99901, asked at `now`.
pub fn at(port: u16, profile: &'static Profile, now: Timestamp) -> GpConnect {
    let options = Options {
        name: "practice".to_owned(),
        profile,
        practice: "Y99901".to_owned(),
        address: format!("http://127.0.0.1:{port}/Y99901/STU3/1/gpconnect"),
        records_address: None,
        proxy: None,
        asid: "200000000115".to_owned(),
        practice_asid: "918999198993".to_owned(),
        issuer: "https://hub.example".to_owned(),
        parts: RecordPart::ALL.to_vec(),
        appointments_with_record: false,
        answer_within: Options::ANSWER_WITHIN,
    };
    let clock = Arc::new(SimulatedClock::new(now));
    GpConnect::new(options, None, clock, Entropy::from_seed(1)).unwrap()
}

/// Orla Testcase, as the practice knows her.
pub fn patient(id: &str, nhs_number: NhsNumber) -> PatientAtSystem {
    PatientAtSystem {
        id: id.to_owned(),
        nhs_number,
        name: "Orla Testcase".to_owned(),
        birth_date: "1970-01-01".to_owned(),
        gender: "female".to_owned(),
        registration: "R".to_owned(),
    }
}

/// A receptionist of the polyclinic.
pub fn requester() -> Requester {
    Requester {
        organisation: Organisation {
            ods_code: "5LC01".to_owned(),
            name: "Soho polyclinic".to_owned(),
            kind: "urgent-care".to_owned(),
            telephone: "020 7946 0001".to_owned(),
        },
        practitioner: Practitioner {
            id: "reception-7".to_owned(),
            sds_user_id: None,
            sds_role_profile_id: None,
            job_role: String::new(),
            family_name: "Adeyemi".to_owned(),
            given_name: "Rosa".to_owned(),
            title: String::new(),
        },
        device: Device { id: "soho".to_owned(), model: "polygate".to_owned(), version: "0".to_owned() },
        reason: Reason::DirectCare,
    }
}
