//! Any bytes at all into the codec `itk`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (polygate_fuzz::target("itk").try_all)(data));
