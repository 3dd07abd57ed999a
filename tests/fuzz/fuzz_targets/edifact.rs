//! Any bytes at all into the codec `edifact`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("edifact").try_all)(data));
