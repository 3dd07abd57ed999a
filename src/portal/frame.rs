//! What the staff's pages have around their content, and how they say what is wrong with a form.

use crate::{access::role::Role, flow::sign_in::Visitor};

use super::{
    assets,
    session::Signed,
    strip::{self, Strip},
};

/// A page in the navigation, and whose it is.
struct Page {
    role: Role,
    path: &'static str,
    label: &'static str,
}

/// Every page that the navigation names, in its order. The first one of a role is its home.
const PAGES: [Page; 9] = [
    Page::of(Role::Clinician, "/clinic", "My list"),
    Page::of(Role::Reception, "/reception", "Board"),
    Page::of(Role::Reception, "/book", "Book"),
    Page::of(Role::Reception, "/plan", "Visit planner"),
    Page::of(Role::Reception, "/waiting", "Waiting list"),
    Page::of(Role::Reception, "/queue", "Walk-in queue"),
    Page::of(Role::Reception, "/provisional", "Provisional"),
    Page::of(Role::Reception, "/patients", "Patients"),
    Page::of(Role::Administrator, "/admin", "Accounts"),
];
/// The home of those whose role has no page yet.
const ACCOUNT: &str = "/account";

impl Page {
    const fn of(role: Role, path: &'static str, label: &'static str) -> Self {
        Self { role, path, label }
    }
}

/// Where someone begins.
pub(super) fn home(visitor: &Visitor) -> &'static str {
    let own = PAGES.iter().find(|page| visitor.roles.contains(&page.role));
    own.map_or(ACCOUNT, |page| page.path)
}

/// A link in the navigation.
pub(super) struct Link {
    pub path: &'static str,
    pub label: &'static str,
    /// Whether it is the page that is shown, or one below it.
    pub current: bool,
}

/// What a page in `staff.html` has around its content.
pub(super) struct StaffFrame {
    pub title: String,
    pub place: String,
    pub home: &'static str,
    pub stylesheet: &'static str,
    pub icon: &'static str,
    /// Who is signed in.
    pub person: String,
    /// As what, in words.
    pub roles: String,
    /// What every form must carry as `csrf`.
    pub csrf: String,
    pub links: Vec<Link>,
    /// How the hub's links are.
    pub strip: Option<Strip>,
}

impl StaffFrame {
    /// The frame of the page at `path`.
    pub fn new(title: &str, signed: &Signed, path: &str) -> Self {
        let visitor = &signed.visitor;
        let pages = PAGES.iter().filter(|page| visitor.roles.contains(&page.role));
        Self {
            title: format!("{title} – polygate"),
            place: signed.hub.to_string(),
            home: home(visitor),
            stylesheet: &assets::STYLESHEET.path,
            icon: &assets::ICON.path,
            person: visitor.name.clone(),
            roles: visitor.roles.iter().map(|role| role.title()).collect::<Vec<_>>().join(", "),
            csrf: visitor.csrf.clone(),
            strip: signed.link_strip().map(|links| strip::of(&links)),
            links: pages
                .map(|page| Link { path: page.path, label: page.label, current: is_at(path, page.path) })
                .collect(),
        }
    }

    /// The same frame for a page whose form has errors: the title says so first.
    #[must_use]
    pub fn with_errors(mut self, errors: &Errors) -> Self {
        if !errors.is_empty() {
            self.title = format!("Error: {}", self.title);
        }
        self
    }
}

fn is_at(path: &str, page: &str) -> bool {
    path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is wrong with a form, field by field, in the order of the page.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<(&'static str, String)>);

impl Errors {
    /// One error: the field's id, and a sentence that says how to mend it.
    pub fn one(field: &'static str, text: impl Into<String>) -> Self {
        Self(vec![(field, text.into())])
    }

    /// One more.
    pub fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with a field.
    pub fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    /// Everything that is wrong.
    pub fn all(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_current_with_what_lies_below_it() {
        for (path, current) in [("/book", true), ("/book/slots", true), ("/bookings", false), ("/", false)] {
            assert_eq!(is_at(path, "/book"), current, "{path}");
        }
    }

    #[test]
    fn the_first_error_of_a_field_stands_beside_it() {
        let mut errors = Errors::one("user", "Enter your user name");
        errors.add("user", "again");
        errors.add("password", "Enter your password");
        assert_eq!(errors.of("user"), Some("Enter your user name"));
        assert_eq!((errors.of("pin"), errors.all().len()), (None, 3));
    }
}
