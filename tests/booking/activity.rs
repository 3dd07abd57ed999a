//! Contacts counted once: a hub and the centre come to the same numbers of the same statements, also when the WAN was away.

use std::time::Duration;

use polygate::{
    app::centre::check_activity,
    config::CentreConfig,
    domain::{
        booking::{Attendance, CancelledBy, Deed},
        contact::Month,
    },
    flow::{count::MonthSummary, reception::Reception as _},
};

use super::{ADA, BEN, Ground, PATIENCE, book, deed, one, until, until_offered};

/// What the centre makes of a month.
async fn at_centre(ground: &Ground, month: Month) -> polygate::centre::activity::Checked {
    let config = CentreConfig::load(&ground.directory.path().join("polycentre.toml")).unwrap();
    check_activity(&config.store, month).await.unwrap()
}

fn at_hub(ground: &Ground, hub: usize, month: Month) -> MonthSummary {
    let counting = ground.hubs[hub].hub.counting().unwrap();
    MonthSummary::of(&counting.account(month, counting.now()).unwrap().funnel, month)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hub_and_centre_count_the_same_also_after_an_outage() {
    let ground = Ground::prepare().await;
    let (soho, camden) = (ground.soho(), ground.camden());
    let offered = until_offered(&soho).await;
    let month = Month::at(offered[0].start).unwrap();
    let seen = one(book(&soho, 1, ADA, &offered[0]).await);
    let cancelled = one(book(&soho, 2, BEN, &offered[1]).await);
    // Another hub books here: it is one contact, counted where it takes place.
    let theirs = until_offered(&camden).await;
    let far = one(book(&camden, 3, BEN, &theirs[2]).await);
    until("known where it takes place", || soho.appointment(far.id).filter(|one| one.is_confirmed())).await;
    ground.wans[0].set_connected(false);
    for (request, attendance) in [(4, Attendance::Arrived), (5, Attendance::In), (6, Attendance::Done)] {
        deed(&soho, request, Deed::Mark { appointment: seen.id, attendance }).await;
    }
    let reason = "Cannot come".to_owned();
    deed(&soho, 7, Deed::Cancel { appointment: cancelled.id, by: CancelledBy::Patient, reason }).await;
    let counted = until("the hub has counted it", || {
        let summary = at_hub(&ground, 0, month);
        (summary.attended == 1 && summary.booked.cancelled_by_patient == 1).then_some(summary)
    })
    .await;
    assert_eq!((counted.booked.opened, counted.booked.outstanding), (3, 1));
    assert!(counted.adds_up());
    let before = at_centre(&ground, month).await;
    assert_eq!(before.all.attended, 0, "the centre has not heard of it");
    ground.wans[0].set_connected(true);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let checked = loop {
        let checked = at_centre(&ground, month).await;
        if checked.all == counted {
            break checked;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:?} is not {counted:?}", checked.all);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(checked.adds_up);
    assert_eq!(checked.hubs.keys().map(|hub| hub.as_str()).collect::<Vec<_>>(), ["soho"]);
    ground.end().await;
}
