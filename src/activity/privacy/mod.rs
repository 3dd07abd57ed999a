//! What keeps people unknown in what analysts get.
