//! How the process ends, and why: one exit code per thing a script does next.

use std::process::ExitCode;

/// The table in `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong usage, a bad file or a bad configuration
  3  the API refused the request (4xx)
  4  the API can not be reached, or answers 5xx
  5  the books do not balance";

/// Why the process does not end with 0.
#[derive(Debug)]
pub enum Failure {
    /// Something that is neither of the others.
    Failed(anyhow::Error),
    /// An argument, a file or the configuration is wrong; nothing was done.
    Usage(anyhow::Error),
    /// The API understood the request and refused it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The API's own words, its details line by line.
        why: String,
    },
    /// No answer, or one that promises nothing.
    Unreachable(anyhow::Error),
    /// The run ended and its books do not add up; the report has said how.
    Unbalanced,
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused { .. } => 3,
            Self::Unreachable(_) => 4,
            Self::Unbalanced => 5,
        }
    }

    /// Whether only the reader of standard output went away (`smsfleet sample | head`).
    fn is_closed_pipe(&self) -> bool {
        let Self::Failed(error) = self else {
            return false;
        };
        let closed = std::io::ErrorKind::BrokenPipe;
        error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .any(|cause| cause.kind() == closed)
    }

    /// Says it on standard error and gives the code to end with.
    #[must_use]
    pub fn end(self) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        match &self {
            Self::Failed(error) | Self::Usage(error) | Self::Unreachable(error) => {
                eprintln!("smsfleet: {error:#}");
            }
            Self::Refused { status, why } => eprintln!("smsfleet: refused ({status}): {why}"),
            Self::Unbalanced => eprintln!("smsfleet: the books do not balance"),
        }
        ExitCode::from(self.code())
    }
}

/// What has no better class is a failure.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// `?` for errors that the caller can mend.
pub trait OrUsage<T> {
    /// Makes the error a [`Failure::Usage`].
    ///
    /// # Errors
    /// The error, as that.
    fn or_usage(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrUsage<T> for Result<T, E> {
    fn or_usage(self) -> Result<T, Failure> {
        self.map_err(|error| Failure::Usage(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_code_that_the_help_promises() {
        let failures = [
            Failure::Failed(anyhow::anyhow!("x")),
            Failure::Usage(anyhow::anyhow!("x")),
            Failure::Refused {
                status: 409,
                why: String::new(),
            },
            Failure::Unreachable(anyhow::anyhow!("x")),
            Failure::Unbalanced,
        ];
        for (code, failure) in (1..).zip(failures) {
            assert_eq!(failure.code(), code);
            assert!(HELP.contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
