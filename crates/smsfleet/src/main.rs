//! The `smsfleet` command; see the library.

fn main() -> std::process::ExitCode {
    smsfleet::main()
}
