//! The hub's side of `polygate user`: who may sign in at the portal.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    access::{
        accounts::{Refusal, UserId},
        role::Role,
        secret::Secret,
    },
    flow::sign_in::{NewUser, SignIn, SignInError},
};

use super::protocol::{Fault, FaultKind, chain};

/// What an operator asks about the portal's users.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(tag = "deed", rename_all = "kebab-case", deny_unknown_fields)]
pub enum UserRequest {
    /// Everybody.
    List,
    /// Someone new.
    Add {
        /// Their id.
        user: UserId,
        /// Their name.
        name: String,
        /// What they may do.
        roles: BTreeSet<Role>,
        /// Their password, which they must change; made up if there is none.
        password: Option<Secret>,
    },
    /// Keep someone out.
    Disable {
        /// Whom.
        user: UserId,
    },
    /// Let someone in again.
    Enable {
        /// Whom.
        user: UserId,
    },
    /// Another password for someone.
    Password {
        /// Whom.
        user: UserId,
        /// The password, which they must change; made up if there is none.
        password: Option<Secret>,
    },
    /// End a lock-out.
    Unlock {
        /// Whose.
        user: UserId,
    },
    /// What someone may do from now on, instead of what they might before.
    Role {
        /// Whom.
        user: UserId,
        /// What.
        roles: BTreeSet<Role>,
    },
}

/// Does what was asked; `by` is who asked. Blocks.
///
/// # Errors
/// Nobody can sign in at this hub, or the accounts say no.
pub fn answer(sign_in: Option<&SignIn>, request: UserRequest, by: &str) -> Result<Value, Fault> {
    let sign_in = sign_in.ok_or_else(|| {
        let what = "nobody can sign in at this hub: it has no portal, or its accounts cannot be read";
        Fault::new(FaultKind::NotAvailable, what).then("journalctl -u polygate")
    })?;
    match request {
        UserRequest::List => {
            return serde_json::to_value(sign_in.users()).map_err(|error| {
                Fault::new(FaultKind::Failed, format!("writing the answer failed: {error}"))
            });
        }
        UserRequest::Add { user, name, roles, password } => {
            let new = NewUser { user: user.clone(), name, roles, password, must_change: true };
            let made = sign_in.add_user(new, by)?;
            return Ok(done(&user, "added", made.as_ref()));
        }
        UserRequest::Password { user, password } => {
            let made = sign_in.reset_password(user.clone(), password, by)?;
            return Ok(done(&user, "password", made.as_ref()));
        }
        UserRequest::Disable { user } => {
            sign_in.disable_user(user.clone(), by).map(|()| done(&user, "disabled", None))
        }
        UserRequest::Enable { user } => {
            sign_in.enable_user(user.clone(), by).map(|()| done(&user, "enabled", None))
        }
        UserRequest::Unlock { user } => {
            sign_in.unlock_user(user.clone(), by).map(|()| done(&user, "unlocked", None))
        }
        UserRequest::Role { user, roles } => {
            sign_in.set_roles(user.clone(), roles, by).map(|()| done(&user, "roles", None))
        }
    }
    .map_err(Fault::from)
}

/// What was done; with the password, if it was made up: this is the only time that it is told.
fn done(user: &UserId, done: &str, made: Option<&Secret>) -> Value {
    json!({"user": user, "done": done, "one_time_password": made})
}

impl From<SignInError> for Fault {
    fn from(error: SignInError) -> Self {
        let (kind, next_step) = match &error {
            SignInError::Command(Refusal::Unknown(_)) => (FaultKind::NotFound, "polygate user list"),
            SignInError::Command(Refusal::Exists(_)) => {
                (FaultKind::Conflict, "choose another id, or: polygate user password")
            }
            SignInError::Command(Refusal::Full) => (FaultKind::Conflict, ""),
            SignInError::Command(_) | SignInError::Unfit(_) | SignInError::UnfitPin(_) => {
                (FaultKind::Invalid, "")
            }
            _ => (FaultKind::Failed, "polygate doctor"),
        };
        Self::new(kind, chain(&error)).then(next_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::sign_in::fake::{Bench, PASSWORD, bench};

    fn ask(bench: &Bench, request: &str) -> Result<Value, Fault> {
        answer(Some(&bench.sign_in), serde_json::from_str(request).unwrap(), "uid 7")
    }

    const ADD: &str =
        r#"{"deed":"add","user":"joy","name":"Joy Okafor","roles":["reception"],"password":null}"#;

    #[tokio::test(start_paused = true)]
    async fn a_password_that_is_made_up_is_told_once_and_opens() {
        let bench = bench();
        let added = ask(&bench, ADD).unwrap();
        let made = added["one_time_password"].as_str().unwrap().to_owned();
        bench.sign_in.sign_in("joy", Secret::new(made.clone()), None).await.unwrap();
        assert!(!ask(&bench, r#"{"deed":"list"}"#).unwrap().to_string().contains(&made));
        let again = ask(&bench, r#"{"deed":"password","user":"joy","password":null}"#).unwrap();
        assert_ne!(again["one_time_password"], made.as_str());
        assert_eq!(bench.notes.take()[0], "joy add user: done");
    }

    #[test]
    fn a_password_that_was_given_is_not_told_back() {
        let bench = bench();
        let request = ADD.replace("null", &format!("\"{PASSWORD}\""));
        assert!(!format!("{:?}", serde_json::from_str::<UserRequest>(&request).unwrap()).contains(PASSWORD));
        assert_eq!(ask(&bench, &request).unwrap()["one_time_password"], Value::Null);
        assert!(bench.sign_in.users()[0].must_change);
    }

    #[test]
    fn faults_say_what_scripts_need() {
        let bench = bench();
        ask(&bench, ADD).unwrap();
        let kind = |request: &str| ask(&bench, request).unwrap_err().kind;
        assert_eq!(kind(ADD), FaultKind::Conflict);
        assert_eq!(kind(r#"{"deed":"disable","user":"ann"}"#), FaultKind::NotFound);
        assert_eq!(kind(r#"{"deed":"password","user":"joy","password":"short"}"#), FaultKind::Invalid);
        assert_eq!(kind(r#"{"deed":"role","user":"joy","roles":[]}"#), FaultKind::Invalid);
        assert_eq!(answer(None, UserRequest::List, "uid 7").unwrap_err().kind, FaultKind::NotAvailable);
    }

    #[test]
    fn accounts_are_disabled_enabled_unlocked_and_given_roles() {
        let bench = bench();
        ask(&bench, ADD).unwrap();
        let after = |deed: &str| {
            ask(&bench, &format!(r#"{{"deed":"{deed}","user":"joy"}}"#)).unwrap();
            bench.sign_in.users().remove(0)
        };
        assert!(after("disable").disabled);
        assert!(!after("enable").disabled);
        assert_eq!(after("unlock").locked_until, None);
        ask(&bench, r#"{"deed":"role","user":"joy","roles":["clinician","analyst"]}"#).unwrap();
        assert_eq!(bench.sign_in.users()[0].roles, [Role::Clinician, Role::Analyst].into());
    }
}
