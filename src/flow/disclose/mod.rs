//! Showing a patient's record: the policy decides, the audit trail has it first, and only then anything is shown.
//!
//! [`Permit`] is the one way to a record. It can be made only here, out of a grant of the policy and a line that is
//! durable; whoever has none has no function to call. If the trail cannot be written, nothing is shown, and everything
//! else goes on.

mod export;
mod facts;
mod list;
mod shown;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    access::{
        audit::{Line, Outcome},
        policy::{
            Alert, Asker, Bounds, Decision, Deed, Exclusions, Facts, Grant, GroundKind, Kept,
            PermissionToView, Plea, Refusal, Restriction, Table, decide,
        },
        role::Role,
    },
    codec::cbor,
    domain::{
        actor::{Device, Organisation, Practitioner, Reason, Requester},
        elsewhere::Opened,
        entry::{Entry, Summary},
        ids::Class,
        nhs_number::NhsNumber,
        one_record::{Answer, Notice},
        time::Timestamp,
    },
    journal::{Append, Identity, Lane, Verdict},
    sys::entropy,
};

use super::{
    ask::GpSystem,
    audit::{AuditStopped, LineId, Written},
    hub::Hub,
    matches::OWN_SYSTEM,
};

pub use list::{ListRow, ViewerRow};
pub use shown::{Permit, Shown};

/// Records that are open at once; a hub has some hundred clinicians.
pub const OPEN_MAX: usize = 5_000;
/// How long a page waits for what practices answer; what comes later is shown when it is looked at again.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_500);
/// The kind of entries that tell privacy officers.
pub const ALERT_KIND: &str = "access.alert";
/// Lines that are shown of who viewed a patient.
const VIEWERS_MAX: usize = 200;

/// Who wants to see something, as their session says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Viewer {
    /// The account's id.
    pub user: String,
    /// Their name.
    pub name: String,
    /// Their roles, as the account has them now.
    pub roles: Vec<Role>,
    /// From which device, as the portal knows it; may be empty.
    pub device: String,
}

/// The name of an open record: random, and worth nothing to anybody but whoever opened it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OpenId(u128);

impl fmt::Display for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for OpenId {
    type Err = Closed;

    fn from_str(text: &str) -> Result<Self, Closed> {
        let plain = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let id = if plain { u128::from_str_radix(text, 16).ok() } else { None };
        id.map(Self).ok_or(Closed::Over)
    }
}

/// Why nothing is shown.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// The policy says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The record is not open to this user any more, or never was.
    #[error("this record is not open to you any more: open it again")]
    Over,
    /// It cannot be put on record.
    #[error(transparent)]
    Audit(#[from] AuditStopped),
    /// What privacy officers must be told cannot be kept.
    #[error("the alert to the privacy officers cannot be kept: nothing is shown without it")]
    Alert,
    /// Too many records are open.
    #[error("too many records are open at this hub: close some")]
    TooMany,
    /// The record view cannot be read.
    #[error("the record cannot be read just now: {0}")]
    Failed(&'static str),
}

/// The records of one hub, as far as somebody may see them.
pub struct Records {
    hub: Arc<Hub>,
    practices: Vec<Arc<dyn GpSystem>>,
    organisation: Organisation,
    table: Table,
    bounds: Bounds,
    exclusions: Exclusions,
    open: Mutex<BTreeMap<OpenId, Open>>,
    /// From which ids in documents are made, so that they tell nothing of what they name.
    secret: [u8; 32],
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}

/// A record that somebody has opened.
#[derive(Clone)]
struct Open {
    user: String,
    patient: NhsNumber,
    plea: Plea,
    until: Timestamp,
    /// What practices answered when it was opened; kept no longer than it is open.
    answers: Vec<Answer>,
    notices: Vec<Notice>,
}

/// What privacy officers are told. The text names nobody; the line does, for those who may read it.
#[derive(Serialize)]
struct AlertWords<'a> {
    v: u8,
    alert: &'a str,
    text: &'a str,
    line: LineId,
}

impl Records {
    /// The records of a hub, whose practices are asked when one is opened.
    ///
    /// # Errors
    /// The kernel gives no random numbers.
    pub fn new(
        hub: Arc<Hub>,
        practices: Vec<Arc<dyn GpSystem>>,
        organisation: Organisation,
    ) -> std::io::Result<Self> {
        Ok(Self {
            secret: entropy::secret()?,
            hub,
            practices,
            organisation,
            table: Table::default(),
            bounds: Bounds::default(),
            exclusions: Exclusions::default(),
            open: Mutex::default(),
        })
    }

    /// The moment now, by the hub's clock.
    pub fn now(&self) -> Timestamp {
        self.hub.now()
    }

    /// Opens a patient's record, if the policy lets this user: asks the practices, and gives the record a name.
    ///
    /// # Errors
    /// It does not; "unknown" and "not to be shown" are one answer. Or it cannot be put on record.
    pub async fn open(&self, who: &Viewer, patient: NhsNumber, plea: Plea) -> Result<OpenId, Closed> {
        let id = OpenId(u128::from_be_bytes(random()?));
        // Whoever comes in an emergency may be known elsewhere only. It is asked before it is decided, whoever it is, so
        // that neither the answer nor its time tells "unknown" from "not to be shown".
        let mut missing = match plea.ground.kind() {
            GroundKind::Relationship => None,
            _ => Some(self.look_elsewhere(who, &patient, &plea, id).await?),
        };
        let (grant, written) =
            self.decide(who, Deed::ViewSummary, &patient, &plea, "record.open", id).await?;
        if grant.checkpoint_first {
            let audit = self.hub.audit().ok_or(AuditStopped)?;
            audit.checkpoint_and_ship(&self.hub).await?;
        }
        if let Some(alert) = grant.alert {
            self.alert(alert, written.id()).await?;
        }
        let opened = self.opened_by(who, &plea, written.id());
        let elsewhere = async {
            match missing.take() {
                Some(notices) => notices,
                None => self.hub.ask_elsewhere(&patient, opened, ANSWER_WITHIN).await,
            }
        };
        let ((answers, mut notices), missing) = tokio::join!(self.ask(who, patient), elsewhere);
        notices.extend(missing);
        let until = grant.until;
        let now = self.now();
        let mut open = self.opened();
        open.retain(|_, one| now < one.until);
        if OPEN_MAX <= open.len() {
            return Err(Closed::TooMany);
        }
        open.insert(id, Open { user: who.user.clone(), patient, plea, until, answers, notices });
        Ok(id)
    }

    /// Shows an open record for a deed, which is decided and put on record anew.
    ///
    /// # Errors
    /// It is not open to this user, or the policy says no by now, or it cannot be put on record or read.
    pub async fn view(&self, who: &Viewer, id: OpenId, deed: Deed) -> Result<Shown, Closed> {
        let open = self.find(who, id)?;
        let grant = self.permitted(who, deed, &open.patient, &open.plea, id).await?;
        let ground = open.plea.ground.kind();
        let hub = Arc::clone(&self.hub);
        let exclusions = self.exclusions.clone();
        let withhold = grant.withhold.clone();
        let until = open.until.min(grant.until);
        let read = tokio::task::spawn_blocking(move || {
            shown::gather(&hub, &open.patient, (open.answers, open.notices), &withhold, &exclusions)
        });
        let gathered = read.await.map_err(|_| Closed::Failed("the program has failed"))?;
        let gathered = gathered.map_err(|_| Closed::Failed("the record view does not answer"))?;
        let mut line = self.line(who, deed.word(), id, Outcome::Done);
        line.patient = Some(gathered.patient);
        line.ground = ground.word().to_owned();
        line.shown = Some(gathered.digest);
        let written = self.write(line).await?;
        Ok(gathered.shown(Permit::new(grant, written), until, ground))
    }

    /// Who has seen the patient whose record is open: the newest first, at most 200.
    ///
    /// # Errors
    /// As for [`Records::view`].
    pub async fn viewers(&self, who: &Viewer, id: OpenId) -> Result<Vec<ViewerRow>, Closed> {
        let open = self.find(who, id)?;
        let (_, _) = self
            .decide(who, Deed::ViewViewers, &open.patient, &open.plea, Deed::ViewViewers.word(), id)
            .await?;
        let audit = self.hub.audit().ok_or(AuditStopped)?.clone();
        let found =
            tokio::task::spawn_blocking(move || audit.find_by_patient(&open.patient, None, VIEWERS_MAX));
        let found = found.await.map_err(|_| Closed::Failed("the program has failed"))?;
        let found = found.map_err(|_| Closed::Failed("the audit trail cannot be read"))?;
        Ok(found.into_iter().map(ViewerRow::from).collect())
    }

    /// Closes a record before its time.
    pub fn close(&self, who: &Viewer, id: OpenId) {
        let mut open = self.opened();
        if open.get(&id).is_some_and(|one| one.user == who.user) {
            open.remove(&id);
        }
    }

    /// The patient whose record is open, and until when.
    ///
    /// # Errors
    /// It is not open to this user.
    pub fn patient(&self, who: &Viewer, id: OpenId) -> Result<(NhsNumber, Timestamp), Closed> {
        self.find(who, id).map(|open| (open.patient, open.until))
    }

    fn find(&self, who: &Viewer, id: OpenId) -> Result<Open, Closed> {
        let now = self.now();
        let open = self.opened().get(&id).cloned();
        open.filter(|one| one.user == who.user && now < one.until).ok_or(Closed::Over)
    }

    fn opened(&self) -> MutexGuard<'_, BTreeMap<OpenId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the policy says, without a line for a permission: that is written when it is known what is shown.
    async fn permitted(
        &self,
        who: &Viewer,
        deed: Deed,
        patient: &NhsNumber,
        plea: &Plea,
        id: OpenId,
    ) -> Result<Grant, Closed> {
        let (hub, number) = (Arc::clone(&self.hub), *patient);
        let facts = tokio::task::spawn_blocking(move || facts::of(&hub, &number)).await;
        let facts = facts.map_err(|_| Closed::Failed("the program has failed"))?;
        let facts = facts.map_err(|_| Closed::Failed("the record view does not answer"))?;
        match decide(&self.asker(who), deed, &facts, plea, self.now(), &self.bounds) {
            Decision::Permit(grant) => Ok(grant),
            Decision::Refuse(refusal) => {
                let mut line = self.line(who, deed.word(), id, Outcome::Refused);
                line.patient = Some(*patient);
                line.ground = format!("{}: {}", plea.ground.kind().word(), refusal.word());
                line.reason = plea.ground.reason().unwrap_or_default().to_owned();
                self.write(line).await?;
                Err(Closed::Refused(refusal))
            }
        }
    }

    /// The same, with a line in either case.
    async fn decide(
        &self,
        who: &Viewer,
        deed: Deed,
        patient: &NhsNumber,
        plea: &Plea,
        word: &str,
        id: OpenId,
    ) -> Result<(Grant, Written), Closed> {
        let grant = self.permitted(who, deed, patient, plea, id).await?;
        let mut line = self.line(who, word, id, Outcome::Done);
        line.patient = Some(*patient);
        line.ground = format!(
            "{}, permission {}, row {}",
            plea.ground.kind().word(),
            plea.permission.kind().word(),
            grant.row
        );
        line.reason = reasons(plea);
        let written = self.write(line).await?;
        Ok((grant, written))
    }

    /// Asks other hubs before it is decided, on record like everything else.
    async fn look_elsewhere(
        &self,
        who: &Viewer,
        patient: &NhsNumber,
        plea: &Plea,
        id: OpenId,
    ) -> Result<Vec<Notice>, Closed> {
        // Only for somebody who could be permitted at all: who may not use the ground asks nobody.
        let known = Facts { known: true, verified: true, restriction: Restriction::None, ..Facts::default() };
        let deed = Deed::ViewSummary;
        if let Decision::Refuse(_) = decide(&self.asker(who), deed, &known, plea, self.now(), &self.bounds) {
            return Ok(Vec::new());
        }
        let mut line = self.line(who, "record.ask-elsewhere", id, Outcome::Done);
        line.patient = Some(*patient);
        line.ground = plea.ground.kind().word().to_owned();
        line.reason = reasons(plea);
        let written = self.write(line).await?;
        let opened = self.opened_by(who, plea, written.id());
        Ok(self.hub.ask_elsewhere(patient, opened, ANSWER_WITHIN).await)
    }

    fn opened_by(&self, who: &Viewer, plea: &Plea, line: LineId) -> Opened {
        let roles: Vec<&str> = who.roles.iter().map(|role| role.name()).collect();
        self.hub.opened(&who.user, &who.name, &roles.join(","), plea.ground.kind().word(), line)
    }

    fn asker(&self, who: &Viewer) -> Asker {
        Asker {
            user: who.user.clone(),
            name: who.name.clone(),
            roles: who.roles.clone(),
            job_role: String::new(),
            activities: self.table.activities("", &who.roles, &BTreeSet::new()),
            organisation: self.hub.identity().ods.clone(),
            // The account was looked at for this very request.
            roles_confirmed: self.now(),
            roles_kept: Kept::Here,
        }
    }

    fn line(&self, who: &Viewer, deed: &str, id: OpenId, outcome: Outcome) -> Line {
        let roles: Vec<&str> = who.roles.iter().map(|role| role.name()).collect();
        Line {
            at: self.now(),
            user: who.user.clone(),
            name: who.name.clone(),
            roles: roles.join(","),
            organisation: self.hub.identity().ods.clone(),
            device: who.device.clone(),
            deed: deed.to_owned(),
            outcome,
            handle: id.to_string(),
            ..Line::default()
        }
    }

    async fn write(&self, line: Line) -> Result<Written, AuditStopped> {
        self.hub.audit().ok_or(AuditStopped)?.write(line).await
    }

    /// Keeps what privacy officers must be told, durably and in order, on its way to the centre.
    async fn alert(&self, alert: Alert, line: LineId) -> Result<(), Closed> {
        let words = AlertWords { v: 1, alert: alert.word(), text: alert.text(), line };
        let raw = cbor::encode(&words).map_err(|_| Closed::Alert)?;
        let now = self.now();
        let summary = Summary { format: "alert".to_owned(), occurred: Some(now), ..Summary::default() };
        let entry = Entry {
            kind: ALERT_KIND.to_owned(),
            system: OWN_SYSTEM.to_owned(),
            source_id: line.to_string(),
            patient: None,
            at: now,
            clock: self.hub.clock.quality(),
            body: cbor::encode(&summary).map(Bytes::from).unwrap_or_default(),
            raw: Some(raw.into()),
        };
        let payload = cbor::encode(&entry).map_err(|_| Closed::Alert)?;
        let name = [self.hub.identity.id.as_str(), OWN_SYSTEM, ALERT_KIND, &entry.source_id];
        let identity = Some(Identity::of(&name.map(str::as_bytes), &payload));
        let append = Append { lane: Lane::of(Class::Activity), identity, payload: payload.into() };
        let verdicts = self.hub.journal.append(vec![append]).await;
        match verdicts.as_deref().map(<[Verdict]>::first) {
            Ok(Some(Verdict::Committed(_) | Verdict::Duplicate)) => {
                tracing::warn!(alert = alert.word(), line = %line, "a record is viewed out of the usual way");
                Ok(())
            }
            _ => Err(Closed::Alert),
        }
    }

    /// Asks the practices that the patient may be with, for as long as a page may wait.
    async fn ask(&self, who: &Viewer, patient: NhsNumber) -> (Vec<Answer>, Vec<Notice>) {
        let hub = Arc::clone(&self.hub);
        let registered = tokio::task::spawn_blocking(move || facts::practices(&hub, &patient)).await;
        let registered = registered.unwrap_or_default();
        let asked = self.practices.iter().filter(|system| registered.contains(system.practice()));
        let requester = Arc::new(self.requester(who));
        let mut asking = JoinSet::new();
        let mut silent = BTreeSet::new();
        for system in asked {
            silent.insert(system.name().to_owned());
            let (system, requester) = (Arc::clone(system), Arc::clone(&requester));
            asking.spawn(async move {
                let answered = system.record(&requester, patient).await;
                (system.name().to_owned(), answered)
            });
        }
        let (mut answers, mut notices) = (Vec::new(), Vec::new());
        let all = async {
            while let Some(Ok((name, answered))) = asking.join_next().await {
                silent.remove(&name);
                match answered {
                    Ok(snapshot) => answers.push(Answer::from(snapshot)),
                    Err(refusal) => notices.push(Notice {
                        system: name,
                        code: "not-answered".to_owned(),
                        text: refusal.code.to_string(),
                    }),
                }
            }
        };
        if timeout(ANSWER_WITHIN, all).await.is_err() {
            notices.extend(silent.into_iter().map(|system| Notice {
                system,
                code: "not-answered".to_owned(),
                text: "silent".to_owned(),
            }));
        }
        (answers, notices)
    }

    fn requester(&self, who: &Viewer) -> Requester {
        Requester {
            organisation: self.organisation.clone(),
            practitioner: Practitioner {
                id: who.user.clone(),
                sds_user_id: None,
                sds_role_profile_id: None,
                job_role: String::new(),
                family_name: who.name.clone(),
                given_name: String::new(),
                title: String::new(),
            },
            device: Device {
                id: self.hub.identity().id.to_string(),
                model: "polygate".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            reason: Reason::DirectCare,
        }
    }
}

/// The asker's own words: why they may, and why the patient was not asked.
fn reasons(plea: &Plea) -> String {
    let unasked = match &plea.permission {
        PermissionToView::CannotBeAsked { reason } => reason.as_str(),
        _ => "",
    };
    let both = [plea.ground.reason().unwrap_or_default(), unasked];
    both.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" / ")
}

fn random() -> Result<[u8; 16], Closed> {
    let secret = entropy::secret().map_err(|_| Closed::Failed("the kernel gives no random numbers"))?;
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&secret[..16]);
    Ok(bytes)
}
