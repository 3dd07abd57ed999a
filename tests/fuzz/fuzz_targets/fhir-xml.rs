//! Any bytes at all into the codec `fhir-xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("fhir-xml").try_all)(data));
