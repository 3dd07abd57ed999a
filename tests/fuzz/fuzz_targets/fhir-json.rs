//! Any bytes at all into the codec `fhir-json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("fhir-json").try_all)(data));
