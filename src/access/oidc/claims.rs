//! Who someone is and what they may do here, as an identity provider's claims say.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::access::{accounts::NAME_CHARACTERS_MAX, role::Role};

use super::{Mapping, id_token::Claims};

/// So many values of the claim are looked at: people have a handful of roles.
const VALUES_MAX: usize = 500;

/// The person's name, as pages show it; none if no claim has one.
pub fn name(claims: &Claims) -> Option<String> {
    let text =
        |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let parts =
        || text("given_name").zip(text("family_name")).map(|(given, family)| format!("{given} {family}"));
    let whole = text("name")
        .map(str::to_owned)
        .or_else(parts)
        .or_else(|| text("preferred_username").map(str::to_owned))?;
    let plain: String = whole.chars().filter(|sign| !sign.is_control()).take(NAME_CHARACTERS_MAX).collect();
    (!plain.is_empty()).then_some(plain)
}

/// What they may do here; nothing if no value of the claim is mapped.
///
/// A value is a text, or an object with `role_code`, as in the NHS Care Identity Service (`nhsid_nrbac_roles`). An object
/// counts only if its `org_code` is of an organisation whose roles count; and only the one that was chosen, if the
/// person chose one (`selected_roleid`).
pub fn roles(claims: &Claims, mapping: &Mapping) -> BTreeSet<Role> {
    let chosen = claims.get("selected_roleid").and_then(Value::as_str);
    let values = match claims.get(&mapping.claim) {
        Some(Value::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    values.iter().take(VALUES_MAX).filter_map(|value| role(value, chosen, mapping)).collect()
}

fn role(value: &Value, chosen: Option<&str>, mapping: &Mapping) -> Option<Role> {
    let code = match value {
        Value::String(code) => code.as_str(),
        Value::Object(entry) => {
            let text = |name: &str| entry.get(name).and_then(Value::as_str);
            if !mapping.organisations.contains(text("org_code")?) {
                return None;
            }
            if chosen.is_some_and(|chosen| text("person_roleid") != Some(chosen)) {
                return None;
            }
            text("role_code")?
        }
        _ => return None,
    };
    let last = code.rsplit(':').next().unwrap_or(code);
    mapping.roles.get(code).or_else(|| mapping.roles.get(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mapping() -> Mapping {
        Mapping {
            claim: "what".to_owned(),
            organisations: ["5LC01".to_owned()].into(),
            roles: [("R8010".to_owned(), Role::Reception), ("hub/doctors".to_owned(), Role::Clinician)]
                .into(),
        }
    }

    fn given(value: Value) -> Vec<Role> {
        let claims: Claims = serde_json::from_value(value).unwrap();
        roles(&claims, &mapping()).into_iter().collect()
    }

    fn entry(organisation: &str, code: &str, id: &str) -> Value {
        json!({"org_code": organisation, "role_code": code, "person_roleid": id})
    }

    #[test]
    fn texts_and_codes_are_mapped_and_nothing_else() {
        assert_eq!(given(json!({"what": ["hub/doctors", "x", 7]})), [Role::Clinician]);
        assert_eq!(given(json!({"what": "S0010:G0020:R8010"})), [Role::Reception]);
        for nothing in [
            json!({}),
            json!({"what": null}),
            json!({"what": "R80100"}),
            json!({"what": "R8010:X"}),
            json!({"other": "R8010"}),
        ] {
            assert_eq!(given(nothing.clone()), [], "{nothing}");
        }
    }

    #[test]
    fn a_role_elsewhere_is_none_here() {
        assert_eq!(given(json!({"what": [entry("RAL", "S:G:R8010", "1")]})), []);
        assert_eq!(given(json!({"what": [{"role_code": "R8010"}]})), []);
        assert_eq!(
            given(json!({"what": [entry("RAL", "R8010", "1"), entry("5LC01", "R8010", "2")]})),
            [Role::Reception]
        );
    }

    #[test]
    fn only_the_chosen_role_counts() {
        let all = json!([entry("5LC01", "R8010", "1"), entry("5LC01", "hub/doctors", "2")]);
        assert_eq!(given(json!({"what": all, "selected_roleid": "2"})), [Role::Clinician]);
        assert_eq!(given(json!({"what": all, "selected_roleid": "3"})), []);
        assert_eq!(given(json!({"what": all})), [Role::Reception, Role::Clinician]);
    }

    #[test]
    fn a_name_is_bounded_and_plain() {
        let named = |value: Value| name(&serde_json::from_value(value).unwrap());
        assert_eq!(named(json!({"name": " Joy Okafor\u{1b} "})).as_deref(), Some("Joy Okafor"));
        assert_eq!(
            named(json!({"given_name": "Joy", "family_name": "Okafor"})).as_deref(),
            Some("Joy Okafor")
        );
        assert_eq!(named(json!({"name": "x".repeat(500)})).map(|name| name.len()), Some(NAME_CHARACTERS_MAX));
        assert_eq!(named(json!({"name": ""})), None);
    }
}
