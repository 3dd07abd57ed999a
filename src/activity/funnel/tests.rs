//! Hubs' funnels merged are that of all contacts, whatever changed on the way; and what does not add up is named.

use proptest::prelude::*;

use super::*;

/// A line that a contact may have.
fn line() -> impl Strategy<Value = Line> {
    let parts = (0..20_u128, 0..3_u8, 0..3_u8, 0..3_u8, 0..8_usize, 0..3_usize);
    (parts, any::<bool>()).prop_map(|((id, month, hub, service, state, answer), booked)| {
        let state = State::ALL[state];
        let is_routed = service != 0;
        Line {
            id: ContactId::of(id),
            key: Key {
                month: format!("2026-0{}", month + 1).parse().unwrap(),
                hub: ["north", "south", "east"][usize::from(hub)].parse().unwrap(),
                service: is_routed.then(|| format!("s{service}").parse().unwrap()),
            },
            // No booking is closed as a case is.
            said_booked: booked && state != State::ClosedUnseen,
            said_unbooked: !booked || state == State::ClosedUnseen,
            is_withdrawn: state == State::Withdrawn,
            state,
            dataset: is_routed.then_some(Dataset::Csds),
            excluded: (!is_routed).then_some(Exclusion::Unmapped),
            answer: [Answer::Awaiting, Answer::Accepted, Answer::Rejected][answer],
            statements: 2,
        }
    })
}

proptest! {
    #[test]
    fn hubs_merged_are_all_and_what_grew_is_what_is(lines in prop::collection::vec(line(), 0..60)) {
        let mut hubs: Vec<Funnel> =
            ["north", "south", "east"].iter().map(|hub| Funnel::new(hub.parse().ok())).collect();
        let mut centre = Funnel::new(None);
        let mut now: BTreeMap<ContactId, Line> = BTreeMap::new();
        for line in lines {
            // A later line of one contact takes the place of the earlier, maybe at another hub.
            let before = now.insert(line.id, line.clone());
            for funnel in hubs.iter_mut().chain([&mut centre]) {
                funnel.change(before.as_ref(), Some(&line));
            }
        }
        let mut fresh = Funnel::new(None);
        now.values().for_each(|line| fresh.change(None, Some(line)));
        prop_assert_eq!(&centre, &fresh);
        let mut merged = Funnel::new(None);
        hubs.iter().for_each(|funnel| merged.merge(funnel));
        prop_assert_eq!(&merged, &centre);
        prop_assert_eq!(centre.residues(), vec![]);
        let text = serde_json::to_string(&centre).unwrap();
        prop_assert_eq!(serde_json::from_str::<Funnel>(&text).unwrap(), centre);
    }

    #[test]
    fn what_is_taken_out_again_leaves_nothing(lines in prop::collection::vec(line(), 0..20)) {
        let mut funnel = Funnel::new(None);
        lines.iter().for_each(|line| funnel.change(None, Some(line)));
        lines.iter().for_each(|line| funnel.change(Some(line), None));
        prop_assert_eq!(funnel, Funnel::new(None));
    }
}

#[test]
fn a_contact_that_does_not_add_up_is_named() {
    let line = Line {
        id: ContactId::of(7),
        key: Key { month: "2026-01".parse().unwrap(), hub: "north".parse().unwrap(), service: None },
        said_booked: true,
        said_unbooked: false,
        is_withdrawn: false,
        state: State::ClosedUnseen,
        dataset: None,
        excluded: None,
        answer: Answer::Awaiting,
        statements: 1,
    };
    let mut funnel = Funnel::new(None);
    funnel.change(None, Some(&line));
    let attended = Line { id: ContactId::of(8), state: State::Attended, ..line.clone() };
    funnel.change(None, Some(&attended));
    assert_eq!(
        funnel.residues().iter().map(|(_, sum, by)| (*sum, *by)).collect::<Vec<_>>(),
        [(Sum::Booked, 1), (Sum::Attended, 1)]
    );
    assert_eq!(funnel.named(Sum::Booked).collect::<Vec<_>>(), [ContactId::of(7)]);
    assert_eq!(funnel.named(Sum::Attended).collect::<Vec<_>>(), [ContactId::of(8)]);
    funnel.change(Some(&line), None);
    funnel.change(Some(&attended), None);
    assert_eq!(funnel, Funnel::new(None));
}

#[test]
fn missed_is_what_the_page_says_it_is() {
    let booked = Outcomes {
        attended: 90,
        did_not_attend: 8,
        not_seen: 2,
        cancelled_by_patient: 50,
        ..Outcomes::default()
    };
    let cell = Cell { booked, ..Cell::default() };
    assert_eq!(cell.missed_per_thousand(), Some(100));
    assert_eq!(Cell::default().missed_per_thousand(), None);
}
