//! The hub's side of the admin commands: a request becomes a call, what it gives becomes JSON.

use serde::Serialize;
use serde_json::{Value, json};

use crate::flow::{
    book::Unlocking,
    operate::{CaseId, Operate, OperateError, RecordQuery, Resend, Reveal},
};

use super::{
    activity, audits,
    protocol::{AdminRequest, Fault, FaultKind},
    users,
};

/// A reason longer than this is not one, and would swell the audit trail.
const REASON_CHARACTERS_MAX: usize = 500;

/// Does what was asked; `by` is who asked, such as `uid 1000`. May block.
///
/// # Errors
/// The hub's own, in the words of the protocol.
pub fn answer(hub: &dyn Operate, request: AdminRequest, by: &str) -> Result<Value, Fault> {
    let asked = request.clone();
    audits::on_record(hub, &asked, by, || act(hub, request, by))
}

fn act(hub: &dyn Operate, request: AdminRequest, by: &str) -> Result<Value, Fault> {
    match request {
        AdminRequest::Status => value(&hub.status()),
        AdminRequest::Queue => value(&hub.status().queue),
        AdminRequest::Doctor => value(&hub.doctor()),
        AdminRequest::MessageFind { filter } => value(&hub.find_messages(filter)?),
        AdminRequest::MessageShow { id, reveal } => {
            value(&hub.show_message(&id, leave(reveal, by)?.as_ref())?)
        }
        AdminRequest::ParkedList => value(&hub.parked()),
        AdminRequest::ParkedShow { number, reveal } => {
            value(&hub.parked_show(number, leave(reveal, by)?.as_ref())?)
        }
        AdminRequest::ParkedRelease { number } => {
            hub.parked_release(number, by)?;
            tracing::warn!(by, number, "parked entry is sent once more");
            Ok(json!({"number": number, "done": "released"}))
        }
        AdminRequest::ParkedSkip { number, reason } => {
            let reason = stated(reason)?;
            hub.parked_skip(number, &reason, by)?;
            tracing::warn!(by, number, %reason, "parked entry is given up");
            Ok(json!({"number": number, "done": "skipped"}))
        }
        AdminRequest::ParkedResend { what, to, reveal, confirmed } => {
            let resend = Resend { what, to, reveal: leave(reveal, by)?, confirmed };
            value(&hub.resend(&resend, by)?)
        }
        AdminRequest::User(request) => users::answer(hub.sign_in(), request, by),
        AdminRequest::Activity(request) => activity::answer(hub, request),
        AdminRequest::Audit(request) => audits::answer(hub.audit(), request, by),
        AdminRequest::RecordShow { nhs_number, kind, reveal } => {
            let (query, reveal) = (RecordQuery { nhs_number, kind }, leave(reveal, by)?);
            value(&hub.record_show(&query, reveal.as_ref(), by).map_err(about_record)?)
        }
        AdminRequest::RecordPurge { nhs_number, reason } => {
            let purged = hub.record_purge(&nhs_number, &stated(reason)?, by).map_err(about_purge)?;
            Ok(json!({"purged": purged}))
        }
        AdminRequest::MatchList => value(&hub.match_list()?),
        AdminRequest::MatchShow { id, reveal } => {
            value(&hub.match_show(&id, leave(reveal, by)?.as_ref()).map_err(about_case)?)
        }
        AdminRequest::MatchDecide { id, link, reason } => decide(hub, &id, link, reason, by),
        AdminRequest::SlotsHeld => value(&hub.held_slots()?),
        AdminRequest::SlotsUnlock { session, from, until, second, password, reason } => {
            let unlocking = Unlocking { session, from, until, second, password, reason };
            Ok(json!({"unlocked": hub.unlock_slots(&unlocking, by)?}))
        }
        AdminRequest::Wan { connected } => {
            hub.set_wan(connected)?;
            Ok(json!({"connected": connected}))
        }
    }
}

/// The reason may name the patient: it is kept with the decision, and not in the log.
fn decide(hub: &dyn Operate, id: &CaseId, link: bool, reason: String, by: &str) -> Result<Value, Fault> {
    hub.match_decide(id, link, &stated(reason)?, by).map_err(about_case)?;
    Ok(json!({"id": id, "done": if link { "linked" } else { "kept apart" }}))
}

/// The same fault, with what to do if a patient is not known.
fn about_record(error: OperateError) -> Fault {
    let is_unknown = matches!(error, OperateError::NotFound(_));
    let fault = Fault::from(error);
    if is_unknown {
        fault.then("check the number; polygate message find --unlinked; polygate match list")
    } else {
        fault
    }
}

/// The same fault, with what to do if answers may still be there.
fn about_purge(error: OperateError) -> Fault {
    Fault::from(error)
        .then("repeat it until it succeeds: the answers may still be on the disk; polygate doctor")
}

/// The same fault, with what to do if a case is not there.
fn about_case(error: OperateError) -> Fault {
    let is_unknown = matches!(error, OperateError::NotFound(_));
    let fault = Fault::from(error);
    if is_unknown { fault.then("polygate match list") } else { fault }
}

/// Leave to see content, if a reason for it is given; who asked and why goes on record.
fn leave(reason: Option<String>, by: &str) -> Result<Option<Reveal>, Fault> {
    let Some(reason) = reason else { return Ok(None) };
    let reveal = Reveal { reason: stated(reason)?, by: by.to_owned() };
    tracing::warn!(by, reason = %reveal.reason, "content is shown to an operator");
    Ok(Some(reveal))
}

/// A reason that says something.
fn stated(reason: String) -> Result<String, Fault> {
    let length = reason.trim().chars().count();
    if length == 0 || REASON_CHARACTERS_MAX < length {
        let what = format!("a reason has 1 to {REASON_CHARACTERS_MAX} characters, and goes on record");
        return Err(Fault::new(FaultKind::Invalid, what).then("say why with --reason"));
    }
    Ok(reason.trim().to_owned())
}

fn value(answer: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(answer)
        .map_err(|error| Fault::new(FaultKind::Failed, format!("writing the answer failed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::fake::{self, FakeHub};

    fn ask(hub: &FakeHub, request: &str) -> Result<Value, Fault> {
        answer(hub, serde_json::from_str(request).unwrap(), "uid 7")
    }

    #[test]
    fn content_is_shown_only_with_a_reason_and_on_record() {
        let hub = FakeHub::new(fake::calm());
        let show = |reveal: &str| {
            let id = fake::found().id;
            ask(&hub, &format!(r#"{{"request":"message-show","id":"{id}","reveal":{reveal}}}"#))
        };
        assert_eq!(show("null").unwrap()["content"], Value::Null);
        assert_eq!(show(r#""  ""#).unwrap_err().kind, FaultKind::Invalid);
        assert!(hub.deeds.lock().unwrap().is_empty());
        assert!(show(r#"" wrong ward ""#).unwrap()["content"].is_string());
        assert_eq!(*hub.deeds.lock().unwrap(), ["reveal by uid 7 because wrong ward"]);
    }

    #[test]
    fn nothing_is_given_up_without_a_reason() {
        let hub = FakeHub::new(fake::calm());
        let skip = |reason: &str| {
            let request = AdminRequest::ParkedSkip { number: 3, reason: reason.to_owned() };
            answer(&hub, request, "uid 7")
        };
        assert_eq!(skip("").unwrap_err().kind, FaultKind::Invalid);
        assert_eq!(skip(&"x".repeat(501)).unwrap_err().kind, FaultKind::Invalid);
        assert!(hub.deeds.lock().unwrap().is_empty());
        assert!(skip("test data").is_ok());
        assert_eq!(*hub.deeds.lock().unwrap(), ["skip 3 by uid 7 because test data"]);
    }

    #[test]
    fn records_and_cases_need_a_reason_to_be_seen_or_changed() {
        let hub = FakeHub::new(fake::calm());
        let show = |reveal: &str| {
            ask(
                &hub,
                &format!(
                    r#"{{"request":"record-show","nhs_number":"9990000018","kind":null,"reveal":{reveal}}}"#
                ),
            )
        };
        assert_eq!(show("null").unwrap()["content"], Value::Null);
        assert_eq!(show(r#"" ""#).unwrap_err().kind, FaultKind::Invalid);
        let decide = |reason: &str| {
            ask(
                &hub,
                &format!(
                    r#"{{"request":"match-decide","id":"00112233445566aa","link":true,"reason":"{reason}"}}"#
                ),
            )
        };
        let purge = |reason: &str| {
            ask(
                &hub,
                &format!(r#"{{"request":"record-purge","nhs_number":"9990000018","reason":"{reason}"}}"#),
            )
        };
        assert_eq!(decide("").unwrap_err().kind, FaultKind::Invalid);
        assert_eq!(purge("").unwrap_err().kind, FaultKind::Invalid);
        assert!(hub.deeds.lock().unwrap().is_empty());
        assert!(show(r#""wrong ward""#).unwrap()["content"].is_object());
        assert_eq!(decide("same birthmark").unwrap()["done"], "linked");
        assert_eq!(purge("left the practice").unwrap()["purged"], 2);
        let deeds = [
            "reveal by uid 7 because wrong ward",
            "link 00112233445566aa by uid 7 because same birthmark",
            "purge by uid 7 because left the practice",
        ];
        assert_eq!(*hub.deeds.lock().unwrap(), deeds);
    }

    #[test]
    fn who_and_what_is_not_there_is_said_with_the_next_command() {
        let hub = FakeHub::new(fake::calm());
        let fault = |request: &str| ask(&hub, request).unwrap_err();
        let unknown =
            fault(r#"{"request":"record-show","nhs_number":"9990000026","kind":null,"reveal":null}"#);
        assert_eq!((unknown.kind, unknown.message.contains("999")), (FaultKind::NotFound, false));
        assert!(unknown.next_step.contains("polygate match list"), "{}", unknown.next_step);
        let unknown = fault(r#"{"request":"match-show","id":"ffffffffffffffff","reveal":null}"#);
        assert_eq!((unknown.kind, unknown.next_step.as_str()), (FaultKind::NotFound, "polygate match list"));
        let wrong = r#"{"request":"record-show","nhs_number":"9990000019","kind":null,"reveal":null}"#;
        let error = serde_json::from_str::<AdminRequest>(wrong).unwrap_err().to_string();
        assert!(error.contains("check digit") && !error.contains("999"), "{error}");
    }

    #[test]
    fn the_hubs_errors_keep_their_kind() {
        let hub = FakeHub::new(fake::calm());
        let kind = |request: &str| ask(&hub, request).unwrap_err().kind;
        assert_eq!(kind(r#"{"request":"parked-release","number":9}"#), FaultKind::NotFound);
        assert_eq!(kind(r#"{"request":"message-find","filter":{"limit":1001}}"#), FaultKind::Invalid);
        let unswitched = hub.without_switch();
        let refused = answer(&unswitched, AdminRequest::Wan { connected: false }, "uid 7").unwrap_err();
        assert_eq!(refused.kind, FaultKind::NotAvailable);
    }

    #[test]
    fn users_are_asked_for_under_a_name_of_their_own() {
        let hub = FakeHub::new(fake::calm());
        let request = r#"{"request":"user","deed":"disable","user":"joy"}"#;
        let read: AdminRequest = serde_json::from_str(request).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), request);
        assert_eq!(ask(&hub, request).unwrap_err().kind, FaultKind::NotAvailable);
        assert!(serde_json::from_str::<AdminRequest>(&request.replace("joy", "../joy")).is_err());
        assert!(
            serde_json::from_str::<AdminRequest>(&request.replace("\"user\":\"joy\"", "\"x\":1")).is_err()
        );
    }
}
