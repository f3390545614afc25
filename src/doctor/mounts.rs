//! What a mount's type and options mean for flockwork. Pure.

use super::facts::Mount;
use super::verdict::{Finding, Verdict};

/// The findings about `mount`, of this machine or of the named one.
pub fn findings(mount: &Mount, host: Option<&str>) -> Vec<Finding> {
    let mut all = vec![kind(mount, host)];
    let advise = |name, verdict, option: &str, relies: &str, advice: &str| {
        let measured = host.map_or_else(|| format!("`{option}` is set"), |host| format!("`{option}` is set on {host}"));
        Finding::new(name, verdict, measured, relies).advise(advice)
    };
    if is_nfs(mount) {
        for option in ["soft", "softerr"].into_iter().filter(|option| mount.has(option)) {
            let relies = "a hard mount: calls wait for a server that restarts, and go on";
            let text = "mount with hard: with soft such a call becomes an error in the middle, and written data may be lost without a word";
            all.push(advise("soft mount", Verdict::Careful, option, relies, text));
        }
        if mount.has("nocto") {
            let text = "mount without nocto: with it a listing may be as old as acdirmax (60 s)";
            all.push(advise("stale listings", Verdict::Slower, "nocto", "opening a folder asks the server whether it has changed", text));
        }
        for option in mount.options.iter().filter(|option| ["noac", "actimeo=0", "sync"].contains(&option.as_str())) {
            let text = "not needed: without it a call costs a third, and flockwork asks the server itself where it matters";
            all.push(advise("caches off", Verdict::Slower, option, "caches may be on", text));
        }
        if let Some(sec) = mount.value("sec").filter(|sec| sec.starts_with("krb5")) {
            let text = "renew the ticket for as long as the job runs (k5start, a keytab)";
            all.push(advise("tickets", Verdict::Careful, &format!("sec={sec}"), "every process may write until the job ends", text));
        }
    }
    all
}

/// True if two machines have mounted alike; addresses and ports differ by nature.
pub fn are_alike(one: &Mount, other: &Mount) -> bool {
    let own = ["addr=", "clientaddr=", "mountaddr=", "mountport="];
    let options = |mount: &Mount| {
        let shared = mount.options.iter().filter(|option| !own.iter().any(|own| option.starts_with(own)));
        shared.cloned().collect::<std::collections::BTreeSet<_>>()
    };
    one.kind == other.kind && options(one) == options(other)
}

/// True for NFS of any version.
fn is_nfs(mount: &Mount) -> bool {
    matches!(mount.kind.as_str(), "nfs" | "nfs4")
}

/// The option that keeps locks on this machine, where there is one.
pub fn locks_are_local(mount: &Mount) -> Option<&str> {
    if is_nfs(mount) && (mount.has("nolock") || matches!(mount.value("local_lock"), Some("all" | "flock"))) {
        return Some(if mount.has("nolock") { "nolock" } else { "local_lock" });
    }
    (mount.kind == "lustre" && mount.has("localflock")).then_some("localflock")
}

fn kind(mount: &Mount, host: Option<&str>) -> Finding {
    let version = mount.value("vers").map(|vers| format!(" version {vers}")).unwrap_or_default();
    let owner = host.map(|host| format!("on {host}: ")).unwrap_or_default();
    let what = if mount.kind.is_empty() { "of an unknown type".to_owned() } else { format!("{}{version}", mount.kind) };
    let measured = format!("{owner}{what} from {}, mounted at {} ({})", mount.source, mount.point, mount.options.join(","));
    let make = |verdict, relies: &str| Finding::new("mount", verdict, measured.clone(), relies);
    let network = "all hazards of a shared mount are reckoned with";
    match mount.kind.as_str() {
        "nfs" | "nfs4" if mount.value("vers").is_some_and(|vers| vers.starts_with('3')) => make(Verdict::Good, network)
            .advise("vers=4.2 is better: locks end with their machine, and no listing goes wrong for good"),
        "nfs" | "nfs4" => make(Verdict::Good, network),
        "tmpfs" | "ramfs" => {
            make(Verdict::Careful, "what is written stays").advise("it is memory: a restart of this machine ends the job, and data count as memory")
        }
        "cifs" | "smb3" | "smbfs" => make(Verdict::Careful, "rename and link are atomic on the server; over SMB that is not promised")
            .advise("use NFS to the same server; if it must be SMB, believe the races below, measured with --peer"),
        "9p" | "vboxsf" | "vmhgfs" | "fuse.vmhgfs-fuse" | "virtiofs" => {
            make(Verdict::Careful, "rename and link are atomic for everybody").advise("a folder shared with a virtual machine: run everything on one side of it")
        }
        "lustre" if !mount.has("flock") && !mount.has("localflock") => {
            make(Verdict::Good, network).advise("mount with -o flock: then deaths on other machines are noticed sooner")
        }
        kind if kind.starts_with("fuse") => make(Verdict::Careful, "rename and link are atomic on the server, and listings are fresh")
            .advise("whether they are depends on what is behind it (sshfs caches listings for 20 s; object stores have no rename): examine it with --peer"),
        _ if mount.is_network => make(Verdict::Good, network),
        _ => make(Verdict::Good, "a local file system: all processes on this machine, with events instead of polling"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nfs(options: &str) -> Mount {
        Mount {
            point: "/mnt".to_owned(),
            kind: "nfs".to_owned(),
            source: "srv:/export".to_owned(),
            options: options.split(',').map(str::to_owned).collect(),
            is_network: true,
        }
    }

    fn found(options: &str, name: &str) -> Option<Verdict> {
        findings(&nfs(options), None).into_iter().find(|finding| finding.name == name).map(|finding| finding.verdict)
    }

    #[test]
    fn a_soft_mount_wants_care_and_a_hard_one_none() {
        assert_eq!(found("rw,vers=4.2,soft,timeo=600", "soft mount"), Some(Verdict::Careful));
        assert_eq!(found("rw,vers=4.2,softerr", "soft mount"), Some(Verdict::Careful));
        assert_eq!(found("rw,vers=4.2,hard,softreval", "soft mount"), None);
        assert_eq!(findings(&nfs("rw,vers=4.2,hard"), None).len(), 1, "a usual mount has its line and no more");
    }

    #[test]
    fn options_that_slow_down_are_named() {
        assert_eq!(found("rw,hard,nocto", "stale listings"), Some(Verdict::Slower));
        assert_eq!(found("rw,hard,noac", "caches off"), Some(Verdict::Slower));
        assert_eq!(found("rw,hard,sec=krb5p", "tickets"), Some(Verdict::Careful));
        assert_eq!(found("rw,hard,sec=sys", "tickets"), None);
    }

    #[test]
    fn locks_that_stay_on_the_machine_are_known_by_the_option() {
        assert_eq!(locks_are_local(&nfs("rw,vers=3,nolock,local_lock=all")), Some("nolock"));
        assert_eq!(locks_are_local(&nfs("rw,vers=3,local_lock=flock")), Some("local_lock"));
        assert_eq!(locks_are_local(&nfs("rw,vers=4.2,local_lock=none")), None);
        let lustre = |option: &str| Mount { kind: "lustre".to_owned(), options: vec![option.to_owned()], ..Mount::default() };
        assert_eq!(locks_are_local(&lustre("localflock")), Some("localflock"));
        assert_eq!(locks_are_local(&lustre("flock")), None);
    }

    #[test]
    fn addresses_are_no_difference_and_a_soft_mount_is_one() {
        let (one, other) = (nfs("rw,hard,addr=10.0.0.1,clientaddr=10.0.0.7"), nfs("hard,rw,addr=10.0.0.1,clientaddr=10.0.0.8"));
        assert!(are_alike(&one, &other));
        assert!(!are_alike(&one, &nfs("rw,soft,addr=10.0.0.1")));
    }

    #[test]
    fn kinds_that_promise_no_atomic_rename_want_care() {
        for kind in ["cifs", "fuse.sshfs", "9p", "tmpfs"] {
            let mount = Mount { kind: kind.to_owned(), ..Mount::default() };
            assert_eq!(findings(&mount, None)[0].verdict, Verdict::Careful, "{kind}");
        }
        let ext4 = Mount { kind: "ext4".to_owned(), ..Mount::default() };
        assert_eq!(findings(&ext4, None)[0].verdict, Verdict::Good);
        assert!(findings(&nfs("vers=3,soft"), Some("node8")).iter().all(|finding| finding.measured.contains("on node8")));
    }
}
