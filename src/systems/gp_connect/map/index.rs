//! Finding what a reference points to, within one answer. References to nothing are common and no fault.

use std::collections::HashMap;

use crate::codec::fhir::{
    Bundle, Element, Location, Organization, Practitioner, PractitionerRole, Reference,
};

/// A resource is looked for among so many within another: each look goes through them.
const CONTAINED_MAX: usize = 100;

/// The resources of an answer by what they are referred to as.
pub struct Index<'a> {
    by_name: HashMap<String, Element<'a>>,
    /// For each practitioner, the organisation of their first role.
    organisations: HashMap<String, Reference<'a>>,
}

/// Somebody, and whose they are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Who {
    /// The person's name.
    pub person: Option<String>,
    /// The organisation's name.
    pub organisation: Option<String>,
}

impl<'a> Index<'a> {
    /// Of all resources in an answer; the first of two under one name counts.
    pub fn of(bundle: Bundle<'a>) -> Self {
        let mut index = Self { by_name: HashMap::new(), organisations: HashMap::new() };
        for (address, resource) in bundle.entries() {
            if let Some(name) = name_of(resource) {
                index.by_name.entry(name).or_insert(resource);
            }
            if let Some(address) = address {
                index.by_name.entry(address.to_owned()).or_insert(resource);
            }
            if let Some(role) = PractitionerRole::of(resource)
                && let Some(practitioner) = role.practitioner().target()
            {
                index.organisations.entry(practitioner.to_owned()).or_insert(role.organisation());
            }
        }
        index
    }

    /// What a reference points to.
    pub fn find(&self, reference: Reference<'_>) -> Option<Element<'a>> {
        let target = reference.target()?;
        if let Some(found) = self.by_name.get(target) {
            return Some(*found);
        }
        // A whole address, or one with a version, of a resource that came without one.
        let target = target.split("/_history/").next().unwrap_or(target);
        let (before, id) = target.rsplit_once('/')?;
        let kind = before.rsplit('/').next()?;
        self.by_name.get(&format!("{kind}/{id}")).copied()
    }

    /// What a reference in a resource points to, which may lie within the resource itself.
    pub fn find_from(&self, resource: Element<'a>, reference: Reference<'_>) -> Option<Element<'a>> {
        match reference.target()?.strip_prefix('#') {
            Some(id) => {
                let mut contained = resource.each("contained").take(CONTAINED_MAX);
                contained.find(|inner| inner.text_of("id") == Some(id))
            }
            None => self.find(reference),
        }
    }

    /// Who a reference names: a person, an organisation, or a person in a role.
    pub fn who(&self, reference: Reference<'_>) -> Who {
        let Some(found) = self.find(reference) else {
            return Who { person: reference.display().map(str::to_owned), organisation: None };
        };
        if let Some(practitioner) = Practitioner::of(found) {
            let role = reference.target().and_then(|target| self.organisations.get(target));
            return Who {
                person: practitioner.full_name(),
                organisation: role.and_then(|organisation| self.organisation(*organisation)),
            };
        }
        if let Some(role) = PractitionerRole::of(found) {
            let person = self.find(role.practitioner()).and_then(Practitioner::of);
            return Who {
                person: person.and_then(Practitioner::full_name),
                organisation: self.organisation(role.organisation()),
            };
        }
        let organisation = Organization::of(found).and_then(Organization::name).map(str::to_owned);
        Who { person: None, organisation }
    }

    /// An organisation's name.
    pub fn organisation(&self, reference: Reference<'_>) -> Option<String> {
        let found = self.find(reference).and_then(Organization::of).and_then(Organization::name);
        found.or_else(|| reference.display()).map(str::to_owned)
    }

    /// A place's name.
    pub fn place(&self, reference: Reference<'_>) -> Option<String> {
        let found = self.find(reference).and_then(Location::of).and_then(Location::name);
        found.or_else(|| reference.display()).map(str::to_owned)
    }
}

/// `Type/id`.
pub fn name_of(resource: Element<'_>) -> Option<String> {
    Some(format!("{}/{}", resource.text_of("resourceType")?, resource.text_of("id")?))
}
