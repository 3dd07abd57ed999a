//! What people change about their own accounts: each change asks for the password once more.

use std::{sync::Arc, time::Duration};

use crate::access::{
    accounts::{Command, Proof},
    secret::Secret,
    sessions::{IDLE_MAX, Token},
};

use super::{SignIn, SignInError, fresh};

/// As long as a screen stays open that nobody touches.
const PIN_WITHIN: Duration = IDLE_MAX;

impl SignIn {
    /// Changes one's own password; every session of the user ends, and the browser gets another.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn change_password(
        self: &Arc<Self>,
        token: &str,
        current: Secret,
        new: Secret,
    ) -> Result<Token, SignInError> {
        let visitor = self.visit(token).filter(|visitor| !visitor.locked).ok_or(SignInError::NoSession)?;
        new.check_password(&visitor.user, &visitor.name)?;
        if new == current {
            return Err(SignInError::Same);
        }
        let user = self.prove("confirm password", visitor.user.as_str(), current, Proof::Password).await?;
        let password = self.hash(new).await?;
        let own = user.as_str().to_owned();
        let change = Command::SetPassword { user: user.clone(), password, must_change: false };
        self.blocking(move |service| service.command(change, &own, "change password", &own)).await??;
        let mut sessions = self.sessions();
        sessions.close_all_of(&user);
        Ok(sessions.open(user, fresh()?, self.began.elapsed()))
    }

    /// Sets one's own PIN, or removes it. Who has no password here does so soon after the identity provider vouched for
    /// them: whoever finds their screen open later must not.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn change_pin(
        self: &Arc<Self>,
        token: &str,
        current: Secret,
        pin: Option<Secret>,
    ) -> Result<(), SignInError> {
        let visitor = self.visit(token).filter(|visitor| !visitor.locked).ok_or(SignInError::NoSession)?;
        if let Some(pin) = &pin {
            pin.check_pin()?;
        }
        let user = if visitor.federated {
            let age = self.sessions().age(token, self.began.elapsed());
            if age.is_none_or(|age| PIN_WITHIN < age) {
                return Err(SignInError::NotFresh);
            }
            visitor.user
        } else {
            self.prove("confirm password", visitor.user.as_str(), current, Proof::Password).await?
        };
        let hash = match pin {
            Some(pin) => Some(self.hash(pin).await?),
            None => None,
        };
        let own = user.as_str().to_owned();
        let change = Command::SetPin(user, hash);
        self.blocking(move |service| service.command(change, &own, "change PIN", &own)).await?
    }
}
