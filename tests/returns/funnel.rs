//! What the funnel says was routed to a return is what the return accounts for, to the last contact.

use polygate::{
    activity::{
        funnel::{Funnel, Line},
        maps::{Maps, ServiceKind, ServiceProfile},
        returns::{Answers, ReturnKind},
        route::route,
    },
    domain::contact::{Acceptance, Contact, Dataset, State},
};

use crate::{Office, contacts};

fn service(id: &str, kind: ServiceKind) -> ServiceProfile {
    ServiceProfile {
        id: id.parse().unwrap(),
        hub: "soho".parse().unwrap(),
        system: "rio".into(),
        kind,
        community_commissioned: false,
        treatment_time_measured: false,
        by_appointment: false,
        priced: true,
        main_specialty: Some(contacts::code("950")),
        treatment_function: Some(contacts::code("330")),
    }
}

/// Two hundred contacts of three services, in every state.
fn all() -> Vec<Contact> {
    let contact = |number: u32| {
        let mut contact = contacts::contact(number);
        let place = usize::try_from(number).unwrap();
        contact.state = State::ALL[place % 5];
        contact.service = ["skin", "urgent", "district"][place % 3].parse().ok();
        contact.facts.main_specialty = None;
        contact.facts.treatment_function = None;
        contact.facts.department_type = contacts::fact(contacts::code("03"));
        contact.facts.arrived_at = contact.start.map(|start| contacts::fact(start).unwrap());
        contact.facts.sealed = contacts::fact(number.is_multiple_of(17));
        contact
    };
    (0..200).map(contact).collect()
}

#[test]
fn each_return_takes_what_the_funnel_routed_to_it() {
    let mut office = Office::new();
    let services = [
        service("skin", ServiceKind::Nurse),
        service("urgent", ServiceKind::UrgentTreatment),
        service("district", ServiceKind::Community),
    ];
    office.maps = Maps::new(services.into(), Vec::new());
    let contacts = all();
    let mut funnel = Funnel::default();
    for contact in &contacts {
        funnel.change(None, Some(&Line::of(contact, &office.maps, &Acceptance::Awaiting)));
    }
    let total = funnel.total(|_| true);
    let mut written = 0;
    for kind in [ReturnKind::Outpatient, ReturnKind::EmergencyCare, ReturnKind::CommunityServices] {
        let wanted = |contact: &Contact| Some((contact.clone(), kind.wants(&route(contact, &office.maps))?));
        let chosen: Vec<(Contact, Dataset)> = contacts.iter().filter_map(wanted).collect();
        let built = office.build(kind, "2026-05", &chosen);
        let of_kind = total.routed.iter().filter(|(dataset, _)| kind.takes(**dataset));
        let routed: i64 = of_kind.map(|(_, count)| count).sum();
        assert!(10 < routed, "{kind:?}");
        built.totals.ties(u64::try_from(routed).unwrap()).unwrap();
        written += built.totals.attended;
        if kind == ReturnKind::Outpatient {
            let xml = office.text("cds-6.2-outpatient_2026-05_v001.xml");
            let count = |text: &str| u64::try_from(xml.matches(text).count()).unwrap();
            assert_eq!(count("<ns:ActivityTreatmentFunctionCode>330<"), built.totals.written);
            assert_eq!(count("<ns:CareProfessionalMainSpecialtyCode>950<"), built.totals.written);
        }
    }
    let excluded: i64 = total.excluded.values().sum();
    assert_eq!(i64::try_from(written).unwrap() + excluded, total.attended(), "attended = routed + excluded");
}

#[test]
fn answers_close_the_last_sum_of_the_funnel() {
    let mut office = Office::new();
    office.maps = Maps::new(vec![service("skin", ServiceKind::Nurse)], Vec::new());
    let mut chosen: Vec<_> = (0..5).map(|number| (contacts::contact(number), Dataset::Cds020)).collect();
    chosen.iter_mut().for_each(|(contact, _)| contact.service = "skin".parse().ok());
    let built = office.build(ReturnKind::Outpatient, "2026-05", &chosen);
    office.submit(&built);
    let mut report = "unique identifier,status,reason code,text\n".to_owned();
    for (place, (contact, _)) in chosen.iter().enumerate() {
        let status = if place == 2 { "rejected" } else { "accepted" };
        report += &format!("B5LC01{},{status},,\n", contact.id);
    }
    let answers = Answers::read(report.as_bytes(), office.settings.provider, &office.holding).unwrap();
    let mut funnel = Funnel::default();
    for (contact, _) in &chosen {
        funnel.change(None, Some(&Line::of(contact, &office.maps, &answers.answers[&contact.id])));
    }
    let total = funnel.total(|_| true);
    assert_eq!((total.accepted, total.rejected, total.awaiting), (4, 1, 0));
    assert!(funnel.residues().is_empty());
}
