//! Any bytes at all into the codec `kettering`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("kettering").try_all)(data));
