//! Any bytes at all into the codec `cbor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("cbor").try_all)(data));
