//! Any bytes at all into the codec `lis2`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("lis2").try_all)(data));
