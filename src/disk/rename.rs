//! Rename made honest: the one call everything rests on.
//!
//! Problem: over NFS a rename may be done by the server, its reply be lost, and the repeated call answer ENOENT (measured: one task per two to six
//! server power cuts). Workaround: rename only to a name that nobody else ever makes (attempt and worker are in it); then ENOENT with that
//! name present means that it was we who did it. The look must be made after a change of one's own to the directory and a fresh open of it, or the
//! client's cached "no such name" answers. The idea is Postfix's `sane_rename`; the unique target is what makes it sound.

use std::io;

use super::{Disk, Moved};

/// Renames `from` to `to`, a name that only this caller ever makes. 1 call; 4 more where the source was gone.
pub fn rename(disk: &dyn Disk, from: &str, to: &str) -> io::Result<Moved> {
    match disk.rename(from, to) {
        Ok(()) => Ok(Moved::Here),
        Err(error) if is_gone(&error) => match super::fresh::is_there(disk, to)? {
            true => Ok(Moved::Here),
            false => Ok(Moved::Gone),
        },
        Err(error) => Err(error),
    }
}

/// ENOENT, and ESTALE, which a client answers where it still knew the name.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle)
}
