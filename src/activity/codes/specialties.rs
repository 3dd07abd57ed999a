//! Main specialties (of professionals) and treatment functions (of services) that a polyclinic can meet.

use jiff::civil::{Date, date};

use super::{
    Entry, Validity,
    lists::{Pair, SPECIALTIES_2004, entry},
};

/// New treatment functions came with this day (DCB0028); not confirmed for each.
const FUNCTIONS_2021: Date = date(2021, 4, 1);

/// CARE PROFESSIONAL MAIN SPECIALTY CODE. 500 is not taken centrally and so is not here.
pub(super) fn main() -> Vec<Entry> {
    let retired = Validity::until(last_before(SPECIALTIES_2004));
    let now = MAIN.iter().map(|pair| entry(*pair, Validity::ALWAYS));
    now.chain(MAIN_RETIRED.iter().map(|pair| entry(*pair, retired))).collect()
}

/// ACTIVITY TREATMENT FUNCTION CODE.
pub(super) fn functions() -> Vec<Entry> {
    let retired = Validity::until(last_before(SPECIALTIES_2004));
    let now = FUNCTIONS.iter().map(|pair| entry(*pair, Validity::ALWAYS));
    let new = FUNCTIONS_NEW.iter().map(|pair| entry(*pair, Validity::since(FUNCTIONS_2021)));
    now.chain(new).chain(FUNCTIONS_RETIRED.iter().map(|pair| entry(*pair, retired))).collect()
}

fn last_before(day: Date) -> Date {
    day.yesterday().unwrap_or(day)
}

const MAIN: [Pair; 21] = [
    ("100", "general surgery"),
    ("110", "trauma and orthopaedics"),
    ("120", "ear, nose and throat"),
    ("130", "ophthalmology"),
    ("300", "general medicine"),
    ("320", "cardiology"),
    ("330", "dermatology"),
    ("340", "respiratory medicine"),
    ("410", "rheumatology"),
    ("420", "paediatrics"),
    ("501", "obstetrics"),
    ("502", "gynaecology"),
    ("560", "midwifery"),
    ("600", "general medical practice"),
    ("601", "general dental practice"),
    ("700", "learning disability"),
    ("710", "adult mental illness"),
    ("711", "child and adolescent psychiatry"),
    ("810", "radiology"),
    ("950", "°nursing"),
    ("960", "°allied health professionals"),
];
const MAIN_RETIRED: [Pair; 5] = [
    ("191", "°pain management"),
    ("510", "°obstetrics, antenatal"),
    ("520", "°obstetrics, postnatal"),
    ("610", "°general practice with maternity"),
    ("620", "°general practice without maternity"),
];
const FUNCTIONS: [Pair; 43] = [
    ("110", "trauma and orthopaedics"),
    ("120", "ear, nose and throat"),
    ("130", "ophthalmology"),
    ("180", "emergency medicine"),
    ("191", "pain management"),
    ("290", "community paediatrics"),
    ("301", "gastroenterology"),
    ("304", "clinical physiology"),
    ("307", "diabetes"),
    ("320", "cardiology"),
    ("324", "anticoagulation"),
    ("330", "dermatology"),
    ("340", "respiratory medicine"),
    ("341", "respiratory physiology"),
    ("342", "pulmonary rehabilitation"),
    ("360", "genitourinary medicine"),
    ("400", "neurology"),
    ("410", "rheumatology"),
    ("420", "paediatrics"),
    ("430", "elderly medicine"),
    ("501", "obstetrics"),
    ("502", "gynaecology"),
    ("560", "midwifery"),
    ("650", "physiotherapy"),
    ("651", "occupational therapy"),
    ("652", "speech and language therapy"),
    ("653", "podiatry"),
    ("654", "dietetics"),
    ("655", "orthoptics"),
    ("656", "clinical psychology"),
    ("662", "optometry"),
    ("663", "podiatric surgery"),
    ("710", "adult mental health"),
    ("711", "child and adolescent psychiatry"),
    ("721", "addiction"),
    ("812", "diagnostic imaging"),
    ("822", "chemical pathology"),
    ("840", "audiology"),
    ("920", "°diabetic education"),
    ("100", "general surgery"),
    ("101", "urology"),
    ("140", "oral surgery"),
    ("300", "general internal medicine"),
];
const FUNCTIONS_NEW: [Pair; 3] = [
    ("111", "°orthopaedics"),
    ("504", "°community sexual and reproductive health"),
    ("675", "°cardiac physiology"),
];
const FUNCTIONS_RETIRED: [Pair; 6] = [
    ("510", "obstetrics, antenatal"),
    ("520", "obstetrics, postnatal"),
    ("610", "general practice with maternity"),
    ("620", "general practice without maternity"),
    ("832", "°retired, last day not confirmed"),
    ("990", "°joint consultant clinics, last day not confirmed"),
];
