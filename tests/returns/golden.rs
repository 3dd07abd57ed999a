//! Each return of a few invented people, held to files that somebody has looked at.

use std::{fs, path::Path};

use polygate::activity::returns::{ReturnKind, TABLES, check_tables, flat};

use crate::{Office, contacts};

fn hold(office: &Office) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/returns/golden");
    for (name, bytes) in &office.files.files {
        let path = folder.join(name);
        if std::env::var_os("POLYGATE_GOLDEN").is_some() {
            fs::write(&path, bytes).unwrap();
        }
        let golden = fs::read(&path).unwrap_or_default();
        assert!(golden == *bytes, "{name} is not as tests/returns/golden has it");
    }
}

#[test]
fn outpatients() {
    let mut office = Office::new();
    let built = office.build(ReturnKind::Outpatient, "2026-05", &contacts::outpatients());
    // An email, a sealed one, one without a commissioner, one in June.
    let omitted: Vec<_> = built.totals.omitted.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!(omitted, [("missing-item", 1), ("no-code", 1), ("other-period", 1), ("sealed", 1)]);
    assert_eq!((built.totals.taken, built.totals.written), (10, 6));
    // Two were missed or cancelled, one is to come.
    built.totals.ties(7).unwrap();
    assert!(built.totals.ties(8).is_err());
    hold(&office);
    // The future appointment, in its own month.
    let mut office = Office::new();
    let built = office.build(ReturnKind::Outpatient, "2026-06", &contacts::outpatients());
    assert_eq!(built.totals.by_attendance["0"], 1);
    hold(&office);
}

#[test]
fn nothing_of_whoever_is_withheld_or_sealed_is_in_any_file() {
    let mut office = Office::new();
    office.build(ReturnKind::Outpatient, "2026-05", &contacts::outpatients());
    let xml = office.text("cds-6.2-outpatient_2026-05_v001.xml");
    // Contact 2 is withheld: 9990000034 is nobody else's here.
    for text in [xml, office.text("cds-6.2-outpatient_2026-05_v001.txt")] {
        assert!(!text.contains("9990000034") && !text.contains("PP000000000000000002"));
        assert!(!text.contains("PP000000000000000007"), "sealed");
        assert!(text.contains("9990000018"));
    }
    let message = xml.split("<ns:WithheldIdentity_Structure").nth(1).unwrap();
    let identity = message.split("</ns:PatientIdentity>").next().unwrap();
    assert!(identity.contains("<ns:WithheldIdentityReason>03<") && identity.contains("IndicatorCode=\"07\""));
    assert!(!identity.contains("1950") && !identity.contains("ZZ99"));
}

#[test]
fn what_never_took_place_has_no_procedure_and_what_is_to_come_no_outcome() {
    let mut office = Office::new();
    let mut all = contacts::outpatients();
    all.swap(0, 1);
    all[0].0.state = polygate::domain::contact::State::DidNotAttend;
    office.build(ReturnKind::Outpatient, "2026-05", &all[..1]);
    office.build(ReturnKind::Outpatient, "2026-06", &all);
    let missed = office.text("cds-6.2-outpatient_2026-05_v001.xml");
    assert!(missed.contains(">3</ns:AttendedOrDidNotAttendCode>") && !missed.contains("Procedure"));
    let to_come = office.text("cds-6.2-outpatient_2026-06_v001.xml");
    assert!(
        to_come.contains(">0</ns:AttendedOrDidNotAttendCode>") && !to_come.contains("OutcomeOfAttendance")
    );
}

#[test]
fn emergency_care() {
    let mut office = Office::new();
    let built = office.build(ReturnKind::EmergencyCare, "2026-05", &contacts::walk_ins());
    assert_eq!(built.totals.written, 4);
    built.totals.ties(4).unwrap();
    hold(&office);
}

#[test]
fn community_services() {
    let mut office = Office::new();
    let built = office.build(ReturnKind::CommunityServices, "2026-05", &contacts::community());
    // One has no referral, without which the row would point to nothing; one has a number that is another's too.
    let omitted: Vec<_> = built.totals.omitted.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!((built.totals.written, omitted), (6, vec![("ambiguous", 1), ("missing-item", 1)]));
    hold(&office);
    let table = |name: &str| {
        let name = format!("csds_2026-05_v001_{name}.csv");
        office.files.files.get(&name).map(Vec::as_slice)
    };
    assert_eq!(check_tables(table), []);
    for (name, _) in TABLES {
        let without = |other: &str| if other == name { None } else { table(other) };
        assert!(!check_tables(without).is_empty(), "{name} is missed");
        let bytes = table(name).unwrap();
        let head = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let emptied = |other: &str| if other == name { Some(&bytes[..head]) } else { table(other) };
        let is_pointed_to =
            !["CYP002GP", "CYP102ServiceTypeReferredTo", "CYP901StaffDetails"].contains(&name);
        assert_eq!(!check_tables(emptied).is_empty(), is_pointed_to, "{name}");
    }
}

#[test]
fn the_contract_adds_up_to_the_penny() {
    let mut office = Office::new();
    let mut all = contacts::outpatients();
    all.extend(contacts::community());
    let built = office.build(ReturnKind::Contract, "2026-05", &all);
    let sum = |name: &str, column: usize| -> i64 {
        let cells =
            office.text(name).lines().skip(1).map(|line| line.split(',').nth(column).unwrap().to_owned());
        cells.map(|cell| cell.replace('.', "").parse::<i64>().unwrap()).sum()
    };
    let acm = sum("contract_2026-05_v001_acm.csv", 16);
    let plcm = sum("contract_2026-05_v001_plcm.csv", 14);
    assert_eq!(built.totals.pence, acm);
    assert_eq!(acm - plcm, 3 * 41_010, "the drugs, which PLCM does not have");
    assert_eq!(plcm, i64::try_from(built.totals.written).unwrap() * 9525);
    hold(&office);
}

#[test]
fn the_flat_layout_reads_back_by_position() {
    let mut office = Office::new();
    office.build(ReturnKind::Outpatient, "2026-05", &contacts::outpatients());
    let lines: Vec<&str> =
        office.text("cds-6.2-outpatient_2026-05_v001.txt").split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 6);
    // As a reader of such files cuts them: first column from 1, and width.
    let at = |line: usize, first: usize, width: usize| {
        lines[line].get(first - 1..first - 1 + width).unwrap().trim()
    };
    let id = contacts::contact(0).id.to_string();
    for (first, width, value) in [
        (1, 6, "CDS062"),
        (7, 3, "020"),
        (10, 3, ""),
        (13, 3, "010"),
        (16, 35, &*format!("B5LC01{id}")),
        (51, 1, "9"),
        (52, 8, "20260603"),
        (60, 6, "130000"),
        (104, 8, "20260504"),
        (112, 12, "5LC0100"),
        (232, 20, "PP000000000000000000"),
        (284, 10, "R0"),
        (306, 2, "01"),
        (308, 10, "9990000018"),
        (318, 1, ""),
        (321, 8, "19500201"),
        (1034, 3, "653"),
        (1675, 1, "5"),
        (1676, 1, "1"),
        (1680, 1, "2"),
        (1681, 8, "20260504"),
        (1689, 6, "090000"),
        (4505, 12, "5LC0101"),
        (4540, 12, "Y99901"),
        (4552, 1, "1"),
        (4556, 8, "20260420"),
    ] {
        assert_eq!(at(0, first, width), value, "{first}");
    }
    assert!(lines.iter().all(|line| line.len() == flat::WIDTH && line.is_ascii()));
    // The withheld one, and the one whose local number is made of marks.
    assert_eq!((at(2, 306, 2), at(2, 308, 10), at(2, 318, 1), at(2, 321, 8)), ("07", "", "1", ""));
    assert_eq!((at(5, 284, 10), at(5, 306, 2)), ("<O'Neil&\"", "03"));
}
