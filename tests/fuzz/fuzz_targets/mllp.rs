//! Any bytes at all into the codec `mllp`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("mllp").try_all)(data));
