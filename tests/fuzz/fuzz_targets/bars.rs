//! Any bytes at all into the codec `bars`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("bars").try_all)(data));
