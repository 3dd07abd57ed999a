//! Any bytes at all into the codec `audit`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("audit").try_all)(data));
