//! The reception desk's pages.

#[cfg(test)]
mod asked;
#[cfg(test)]
mod drafts;
#[cfg(test)]
mod times;
