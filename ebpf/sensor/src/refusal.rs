//! What a call that the kernel refused means: which error it is, told apart by what the operator can do about it. Asks
//! for the rights of this process, which decide between two remedies. Absent: the errors themselves and their words.

use std::io;

use crate::SensorError;
use crate::error::chain;

impl SensorError {
    /// An error with an I/O error somewhere behind it.
    pub(crate) fn from_kernel(action: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let action = action.to_owned();
        let system = system_error(error);
        match system.map(|error| (error.kind(), error.raw_os_error())) {
            Some((io::ErrorKind::PermissionDenied, _)) => match crate::rights::first_missing() {
                Some(capability) => Self::MissingCapability { action, capability },
                None => Self::Refused { action },
            },
            Some((_, Some(number))) if number == rustix::io::Errno::NOSYS.raw_os_error() => {
                Self::NoBpf { action }
            }
            _ => Self::Load { action, cause: chain(error) },
        }
    }
}

/// The first I/O error in a chain of causes.
fn system_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
