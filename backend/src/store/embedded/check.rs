//! Whether the file in a data directory may be opened, and what can be had out of one that may not: the words and the
//! remedies. What is read of it is `survey`'s.

use std::fs::{File, TryLockError};
use std::path::Path;

use wire::{StoreId, StoredSentence};

use super::FILE_NAME;
use super::engine::Fault;
use super::layout;
use super::survey::{self, NoSurvey, Survey};
use super::witness::{self, Heard, Testimony};
use crate::store::OpenError;

/// What lies in a data directory.
pub(super) enum Found {
    /// No store, and nothing says that there was one.
    Nothing,
    /// A store that is whole.
    Store,
}

/// What a check of a whole store has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Documents, each read and compared with its id and its author.
    pub documents: u64,
    /// Commits of the store.
    pub commits: u64,
    /// The identity; `None` in a store that has none yet.
    pub id: Option<StoreId>,
    /// Whether the newest commit was torn by a crash before it was acknowledged.
    pub torn: bool,
    /// Whether a witness says that nothing is missing. Without one, a lost newest commit cannot be told.
    pub witnessed: bool,
}

/// What was had out of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Documents that were given.
    pub documents: u64,
    /// Documents that should be there and do not read back; `None` where not even their number does.
    pub lost: Option<u64>,
    /// What is damaged, in words.
    pub damages: Vec<String>,
    /// How many damages there are in all.
    pub n_damages: u64,
}

/// Checks every page of the store in `data_dir`, and its tables against each other.
///
/// # Errors
/// Names what is damaged, where, and the remedy.
pub fn verify(data_dir: &Path) -> Result<Checked, OpenError> {
    let _claim = claim(data_dir)?;
    let path = data_dir.join(FILE_NAME);
    let Some((survey, heard)) = look(&path)? else {
        return Err(OpenError {
            problem: format!("there is no store in {}", data_dir.display()),
            remedy: "name the directory of one with --data-dir".to_owned(),
        });
    };
    let Survey { documents, commits, id, fell_back: torn, .. } = survey;
    Ok(Checked { documents, commits, id, torn, witnessed: matches!(heard, Heard::Testimony(_)) })
}

/// Gives every document of the store in `data_dir` that reads back. The store is not changed.
///
/// # Errors
/// When there is no file, or nothing in it can be entered.
pub fn salvage(data_dir: &Path, each: impl FnMut(StoredSentence)) -> Result<Salvaged, OpenError> {
    let _claim = claim(data_dir)?;
    let path = data_dir.join(FILE_NAME);
    let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    let survey = survey::salvage(&file, each).map_err(|error| OpenError {
        problem: format!("nothing in {} can be read: {error}", path.display()),
        remedy: "restore a backup".to_owned(),
    })?;
    let mut expected = Some(survey.expected).filter(|expected| *expected > 0 || survey.is_whole());
    let mut damages = survey.damages;
    if let Ok(Heard::Testimony(told)) = witness::hear(&witness::path_of(&path))
        && told.commits > survey.commits
    {
        let (found, newest) = (survey.commits, told.commits);
        damages.push(format!("the newest commit, {newest}, does not read back; this is commit {found}"));
        expected = Some(told.documents);
    }
    let lost = expected.map(|expected| expected.saturating_sub(survey.documents));
    Ok(Salvaged { documents: survey.documents, lost, damages, n_damages: survey.n_damages })
}

/// Takes the data directory for this process. A file system without such locks has the engine's own, on the file.
pub(super) fn claim(data_dir: &Path) -> Result<File, OpenError> {
    let directory = File::open(data_dir).map_err(|error| unusable(data_dir, &error))?;
    match directory.try_lock() {
        Err(TryLockError::WouldBlock) => Err(in_use(data_dir)),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(directory),
    }
}

/// Checks what lies at `path`, whole, before the engine sees it.
pub(super) fn before_opening(path: &Path) -> Result<Found, OpenError> {
    Ok(if look(path)?.is_some() { Found::Store } else { Found::Nothing })
}

/// The file as it is and what its witness tells, if they fit together; `None` where there is neither.
fn look(path: &Path) -> Result<Option<(Survey, Heard)>, OpenError> {
    let beside = witness::path_of(path);
    let heard = witness::hear(&beside).map_err(|error| unreadable(&beside, &error))?;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return match heard {
                Heard::Testimony(told) => Err(missing(path, told)),
                Heard::Nothing | Heard::Unclear => Ok(None),
            };
        }
        Err(error) => return Err(unreadable(path, &error)),
    };
    let found = match survey::survey(&file) {
        Ok(survey) => survey,
        Err(NoSurvey::Disk(error)) => return Err(unreadable(path, &error)),
        Err(NoSurvey::Foreign) if heard == Heard::Nothing => {
            return Err(OpenError {
                problem: format!("{} is no database of this program", path.display()),
                remedy: "move it away, or give another --data-dir".to_owned(),
            });
        }
        Err(error) => return Err(damaged(path, &error.to_string())),
    };
    if let Some(format) = found.format.filter(|format| *format > layout::FORMAT) {
        return Err(explain(&Fault::Format(format), path.parent().unwrap_or(path)));
    }
    if let Some(first) = found.damages.first() {
        let more = match found.n_damages {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        return Err(damaged(path, &format!("{first}{more}")));
    }
    if let Heard::Testimony(told) = heard {
        agree(path, &found, told)?;
    }
    Ok(Some((found, heard)))
}

fn agree(path: &Path, found: &Survey, told: Testimony) -> Result<(), OpenError> {
    let beside = witness::path_of(path);
    let on_purpose = format!("if it was put there on purpose, remove {}", beside.display());
    let Survey { documents, commits, .. } = *found;
    if found.id != Some(told.id) {
        let problem = format!("{} is not the store that was here, which is {}", path.display(), told.id);
        return Err(OpenError { problem, remedy: format!("put that one back; {on_purpose}") });
    }
    let lost = commits < told.commits || (commits == told.commits && documents != told.documents);
    if lost {
        let what = format!(
            "it has {documents} sentences and ends with commit {commits}, but commit {}, with {} sentences, was stored",
            told.commits, told.documents
        );
        let OpenError { problem, remedy } = damaged(path, &what);
        return Err(OpenError { problem, remedy: format!("{remedy}; {on_purpose}") });
    }
    Ok(())
}

fn damaged(path: &Path, what: &str) -> OpenError {
    let directory = path.parent().unwrap_or(path).display();
    let salvage = format!("`balanza-backend salvage --data-dir {directory} FILE`");
    OpenError {
        problem: format!("{} is damaged: {what}", path.display()),
        remedy: format!(
            "restore a backup, or write what is readable with {salvage} and import that into another --data-dir"
        ),
    }
}

fn missing(path: &Path, told: Testimony) -> OpenError {
    let beside = witness::path_of(path);
    OpenError {
        problem: format!("{} is gone: it had {} sentences", path.display(), told.documents),
        remedy: format!("restore a backup, or remove {} to begin with an empty store", beside.display()),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError {
        problem: format!("{} cannot be read: {error}", path.display()),
        remedy: "see to the disk and to the rights of this user, or give another --data-dir".to_owned(),
    }
}

fn in_use(data_dir: &Path) -> OpenError {
    OpenError {
        problem: format!("another process uses the data directory {}", data_dir.display()),
        remedy: "stop it, or give each node its own --data-dir".to_owned(),
    }
}

/// The data directory cannot be used.
pub(super) fn unusable(data_dir: &Path, error: &std::io::Error) -> OpenError {
    OpenError {
        problem: format!("the data directory {} cannot be used: {error}", data_dir.display()),
        remedy: "give a directory that this user may write, with --data-dir".to_owned(),
    }
}

/// Why the engine did not open a file that the check let through.
pub(super) fn explain(fault: &Fault, data_dir: &Path) -> OpenError {
    let path = data_dir.join(FILE_NAME);
    let file = path.display();
    match fault {
        Fault::Engine(redb::Error::DatabaseAlreadyOpen) => in_use(data_dir),
        Fault::Format(_) => OpenError {
            problem: format!("{file} cannot be read: {fault}"),
            remedy: "use the program that wrote it to export it".to_owned(),
        },
        Fault::Engine(redb::Error::Io(_)) | Fault::Commit(_) => OpenError {
            problem: format!("{file} cannot be written: {}", fault.in_words()),
            remedy: "give a directory that this user may write and that has room, with --data-dir".to_owned(),
        },
        // The engine says what else is wrong with a file that was written by it.
        Fault::Engine(_) | Fault::Damaged(_) => damaged(&path, &fault.in_words()),
    }
}
