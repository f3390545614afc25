//! Letting everybody else see the last change of a directory.
//!
//! Problem: NFSv3 tells that a directory has changed by its mtime, and a server's clock ticks (4 or 10 ms on Linux, whole seconds on old file systems): a client
//! that listed it just before a change, in the same tick, believes that listing for ever. Who goes on changing the directory ends that without knowing. Workaround:
//! whoever makes the last change for some time touches the directory until its stamp has moved on. (Seen on a real mount: slots that waited for ever for the end.)

use std::io;
use std::time::Duration;

use super::Disk;

/// Between two touches; together as long as any known tick.
const PAUSES_MS: [u64; 8] = [4, 8, 16, 32, 125, 250, 750, 1000];

/// [`Disk::announce`] over a network.
pub(super) fn announce(disk: &dyn Disk, dir: &str) -> io::Result<()> {
    touch_on(|| disk.look(dir).map(|look| look.stamp), || disk.touch(dir), std::thread::sleep)
}

/// Touches until the stamp is another than at first: 3 calls, and the rest of the tick. Where it never is (a clock that stands still), nothing more can be done.
fn touch_on(stamp: impl Fn() -> io::Result<i128>, touch: impl Fn() -> io::Result<()>, pause: impl Fn(Duration)) -> io::Result<()> {
    let changed = stamp()?;
    for ms in PAUSES_MS {
        touch()?;
        if stamp()? != changed {
            return Ok(());
        }
        pause(Duration::from_millis(ms));
    }
    touch()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// So many touches by a clock whose tick is so long, for a change at the end of which its time is 0.
    fn touches(tick_ms: u64) -> u32 {
        let (now, mtime, n) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let touch = || {
            n.set(n.get() + 1);
            mtime.set(now.get() / tick_ms);
            Ok(())
        };
        touch_on(|| Ok(mtime.get().into()), touch, |time| now.set(now.get() + time.as_millis() as u64)).expect("announced");
        if tick_ms <= 2000 {
            assert!(mtime.get() > 0, "a tick of {tick_ms} ms");
        }
        n.get()
    }

    #[test]
    fn a_directory_is_touched_until_its_stamp_has_moved_on() {
        assert_eq!([1, 4, 10, 1000, 2000].map(touches), [2, 2, 3, 8, 9]);
        assert_eq!(touches(u64::MAX), 9, "in the end it is given up");
    }

    #[test]
    fn what_the_disk_refuses_is_told() {
        let refuses = || Err(io::ErrorKind::PermissionDenied.into());
        assert!(touch_on(|| Ok(1), refuses, |_| {}).is_err());
    }
}
