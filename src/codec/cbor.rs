//! CBOR (RFC 8949) with named fields: the only file that names `serde_cbor`.
//!
//! `serde_cbor` is unmaintained (RUSTSEC-2021-0127); whatever replaces it changes this file alone.
//! Only typed structs are decoded, never `Value`: ten megabytes of nulls would take 778 MiB.

use serde::{Serialize, de::DeserializeOwned};

/// The bytes are no CBOR of the expected shape, or too many.
#[derive(Debug, thiserror::Error)]
pub enum CborError {
    /// The value cannot be decoded. The source names the offset, never the content.
    #[error("no valid CBOR of the expected shape")]
    Malformed(#[source] serde_cbor::Error),
    /// More bytes than the caller allows.
    #[error("{bytes} bytes of CBOR, and at most {bytes_max} are allowed")]
    TooLong {
        /// What came.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
}

/// Encodes with named fields and definite lengths.
///
/// # Errors
/// Only if a `Serialize` implementation fails of itself.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CborError> {
    serde_cbor::to_vec(value).map_err(CborError::Malformed)
}

/// Decodes exactly one value; unknown fields are ignored, trailing bytes are not.
///
/// # Errors
/// Too many bytes, or not the shape of `T`. Nesting deeper than 128 is refused.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], bytes_max: usize) -> Result<T, CborError> {
    if bytes_max < bytes.len() {
        return Err(CborError::TooLong { bytes: bytes.len(), bytes_max });
    }
    serde_cbor::from_slice(bytes).map_err(CborError::Malformed)
}
