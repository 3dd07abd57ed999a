//! Kettering letters: what is read of one, and that writing it again loses nothing of that.

use std::path::Path;

use polygate::codec::kettering::{self, DateOrder, Letter};
use serde_json::{Value, json};

use crate::{
    case::{Case, Outcome},
    shared,
    shared::{Verdict, Verdicts},
};

/// Reads a letter; writes it again in the order of dates that Vision describes.
pub fn read(case: &Case) -> Outcome {
    match kettering::read(&case.input()) {
        Ok(letter) => {
            let written = kettering::write(&letter, DateOrder::DayMonth);
            // What was odd about it is not written again.
            let again = kettering::read(&written)
                .map(|again| shown(&Letter { faults: letter.faults.clone(), ..again }));
            assert_eq!(again, Ok(shown(&letter)), "{}", case.says("it changes when it is written"));
            Outcome { value: json!({ "letter": shown(&letter) }), outputs: vec![("written.xml", written)] }
        }
        Err(why) => json!({ "error": format!("{why:?}"), "letter": null }).into(),
    }
}

fn shown(letter: &Letter) -> Value {
    let patient = &letter.patient;
    json!({
        "message_id": letter.message_id,
        "issued": letter.issued,
        "patient": {
            "nhs_number": patient.nhs_number,
            "family_name": patient.family_name,
            "given_name": patient.given_name,
            "birth_date": patient.birth_date,
            "gender": patient.gender,
            "address": patient.address,
            "postcode": patient.postcode,
        },
        "to": letter.to.organisation.0,
        "from": letter.from.organisation_name,
        "report_type": letter.report_type,
        "service_event_type": letter.service_event_type,
        "event_date": letter.event_date,
        "texts": letter.texts.iter().map(|text| json!([text.media_type(), text.block])).collect::<Vec<_>>(),
        "coded": letter.coded.iter().map(|one| json!([one.code, one.scheme, one.term])).collect::<Vec<_>>(),
        "faults": letter.faults,
    })
}

/// The one public letter, whose writer wrote the date of the event as no date at all: its issue date alone can be told.
pub fn judge(folder: &Path) -> Verdicts {
    let judged = shared::files(folder).into_iter().map(|file| {
        let letter = match kettering::read(&shared::bytes(folder, &file)) {
            Ok(letter) => shown(&letter),
            Err(why) => return (file, Verdict::Wrong(why.to_string())),
        };
        let expected = json!({
            "message_id": "288d0f12-d4e8-4489-bc0a-2a91a78f3d99",
            "patient": { "gender": "F", "address": ["1 Road", "somwhere", "Newcastle upon Tyne"], "birth_date": "" },
            "from": "NORTHUMBRIA HEALTHCARE NHS FOUNDATION TRUST",
            "report_type": "Outpatient Letter",
            "event_date": "",
            "texts": [["text/html", "Documnet"]],
            "faults": ["date-unclear"],
        });
        let faults = crate::compare::differences(&expected, &letter);
        (file, if faults.is_empty() { Verdict::Right } else { Verdict::Wrong(faults.join("; ")) })
    });
    judged.collect()
}
