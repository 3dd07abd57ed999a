//! The hub: see `polygate --help`.

fn main() -> std::process::ExitCode {
    polygate::cli::main()
}
