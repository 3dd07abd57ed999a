//! The centre: see `polycentre --help`.

/// Gives memory back after a burst, which the C library's allocator does not: a hub runs for months.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    polygate::cli::centre::main()
}
