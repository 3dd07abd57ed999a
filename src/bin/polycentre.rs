//! The centre: see `polycentre --help`.

fn main() -> std::process::ExitCode {
    polygate::cli::centre::main()
}
