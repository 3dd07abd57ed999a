//! What `polygate user` prints.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::time::Timestamp,
    flow::words,
    manage::{
        table::{Cell, Tone, table},
        users::UserRequest,
    },
};

use super::read;

#[derive(Deserialize)]
struct User {
    user: String,
    name: String,
    roles: BTreeSet<String>,
    disabled: bool,
    locked_until: Option<Timestamp>,
    must_change: bool,
    pin: bool,
    password_set: Timestamp,
    #[serde(default)]
    one_time_over: bool,
    #[serde(default)]
    federated: bool,
}

#[derive(Deserialize)]
struct Done {
    user: String,
    one_time_password: Option<String>,
}

pub(super) fn write(
    request: &UserRequest,
    answer: &Value,
    colour: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<()> {
    if *request == UserRequest::List {
        let users: Vec<User> = read(answer)?;
        if users.is_empty() {
            writeln!(err, "there are no users; the first one: polygate user add")?;
        }
        return write_users(&users, colour, out);
    }
    let Done { user, one_time_password } = read(answer)?;
    let user = words::line(&user);
    match request {
        UserRequest::List => {}
        UserRequest::Add { .. } => writeln!(out, "{user} is added")?,
        UserRequest::Disable { .. } => writeln!(out, "{user} is disabled, and signed out everywhere")?,
        UserRequest::Enable { .. } => writeln!(out, "{user} is enabled")?,
        UserRequest::Password { .. } => {
            writeln!(out, "{user} has another password, and is signed out everywhere")?
        }
        UserRequest::Unlock { .. } => writeln!(out, "{user} is not locked")?,
        UserRequest::Role { .. } => writeln!(out, "{user} has other roles")?,
    }
    if let Some(made) = one_time_password {
        writeln!(out, "one-time password: {}", words::line(&made))?;
        writeln!(
            err,
            "it is shown this once, and opens for 72 hours; {user} chooses another when signing in"
        )?;
    }
    Ok(())
}

fn write_users(users: &[User], colour: bool, out: &mut dyn Write) -> io::Result<()> {
    let row = |user: &User| {
        let roles = user.roles.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        vec![
            Cell::text(&user.user),
            Cell::text(&user.name),
            Cell::text(&roles),
            state(user),
            Cell::text(if user.pin { "set" } else { "-" }),
            Cell::text(&if user.federated { "-".to_owned() } else { user.password_set.to_string() }),
        ]
    };
    let heads = ["USER", "NAME", "ROLES", "STATE", "PIN", "PASSWORD SET"];
    table(&heads, users.iter().map(row).collect(), colour, out)
}

fn state(user: &User) -> Cell {
    match user.locked_until {
        _ if user.disabled => Cell::text("disabled"),
        Some(until) => Cell::text(&format!("locked until {until}")).toned(Tone::Bad),
        None if user.one_time_over => {
            Cell::text("one-time password is over: polygate user password").toned(Tone::Bad)
        }
        None if user.must_change => Cell::text("has to choose a password").toned(Tone::Attention),
        None if user.federated => Cell::text("active, by the identity provider").toned(Tone::Good),
        None => Cell::text("active").toned(Tone::Good),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Role, Secret},
        flow::sign_in::fake::bench,
        manage::users,
    };

    fn printed(request: &UserRequest, answer: &Value) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        write(request, answer, false, &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn users_are_a_table_with_their_states() {
        let bench = bench();
        for (user, name) in [("ann", "Ann Lee"), ("joy", "Joy Okafor"), ("sam", "Sam Reed")] {
            bench.add(user, name, &[Role::Reception, Role::Clinician]);
        }
        bench.sign_in.disable_user("ann".parse().unwrap(), "uid 7").unwrap();
        for _ in 0..5 {
            assert!(bench.sign_in.sign_in("joy", Secret::new("guess"), None).await.is_err());
        }
        let answer = users::answer(Some(&bench.sign_in), UserRequest::List, "uid 7").unwrap();
        let expected = "\
USER  NAME        ROLES                 STATE                                  PIN  PASSWORD SET
ann   Ann Lee     clinician, reception  disabled                               -    2026-11-18T11:06:40.000Z
joy   Joy Okafor  clinician, reception  locked until 2026-11-18T11:21:40.000Z  -    2026-11-18T11:06:40.000Z
sam   Sam Reed    clinician, reception  active                                 -    2026-11-18T11:06:40.000Z
";
        assert_eq!(printed(&UserRequest::List, &answer), (expected.to_owned(), String::new()));
    }

    #[test]
    fn a_one_time_password_stands_alone_on_its_line() {
        let request = UserRequest::Password { user: "joy".parse().unwrap(), password: None };
        let answer = serde_json::json!({"user": "joy", "done": "password", "one_time_password": "abcd-efgh"});
        let (out, err) = printed(&request, &answer);
        assert!(out.ends_with("\none-time password: abcd-efgh\n"), "{out}");
        assert!(err.starts_with("it is shown this once"));
    }
}
