//! Any bytes at all into the codec `hl7v2`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("hl7v2").try_all)(data));
