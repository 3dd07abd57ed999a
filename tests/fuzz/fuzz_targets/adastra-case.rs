//! Any bytes at all into the codec `adastra-case`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("adastra-case").try_all)(data));
