//! How much a document may become: depth and memory, counted while it is read.

use super::{DEPTH_MAX, FhirError, MEMORY_BYTES_MAX};

/// One value in a list, growth of the list included.
const VALUE_BYTES: usize = 64;
/// An object's first node: eleven names and values at once, however few are used.
const OBJECT_BYTES: usize = 640;
/// One name and value in an object, beside the name's own length.
const MEMBER_BYTES: usize = 64;

/// What is left of the estimate [`MEMORY_BYTES_MAX`].
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(MEMORY_BYTES_MAX)
    }

    pub(super) fn value(&mut self, at: usize) -> Result<(), FhirError> {
        self.spend(VALUE_BYTES, at)
    }

    pub(super) fn text(&mut self, length: usize, at: usize) -> Result<(), FhirError> {
        self.spend(length, at)
    }

    pub(super) fn object(&mut self, at: usize) -> Result<(), FhirError> {
        self.spend(OBJECT_BYTES, at)
    }

    pub(super) fn member(&mut self, name: usize, at: usize) -> Result<(), FhirError> {
        self.spend(MEMBER_BYTES + name, at)
    }

    fn spend(&mut self, bytes: usize, at: usize) -> Result<(), FhirError> {
        self.0 = self.0.checked_sub(bytes).ok_or(FhirError::TooLarge(at))?;
        Ok(())
    }
}

/// One level deeper.
pub(super) const fn deeper(depth: usize, at: usize) -> Result<usize, FhirError> {
    if depth < DEPTH_MAX { Ok(depth + 1) } else { Err(FhirError::TooDeep(at)) }
}
