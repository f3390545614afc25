//! The rule, pure: who may own a job's folders, and who may write them.

use super::*;

const ME: u32 = 1000;
const ANN: u32 = 1001;
const LAB: u32 = 100;

fn folder(uid: u32, gid: u32, mode: u32) -> Owned {
    Owned { kind: Kind::Folder, uid, gid, mode }
}

fn trusting(users: &[u32], groups: &[u32]) -> Trust {
    Trust { me: ME, users: users.iter().copied().collect(), groups: groups.iter().copied().collect() }
}

/// Ann is in the lab; the group of a user's own number is private.
fn doubt(trust: &Trust, part: Part, seen: Owned) -> Option<Doubt> {
    trust.doubt(part, seen, |uid, gid| (uid, gid) == (ANN, LAB), |uid, gid| uid == gid)
}

#[test]
fn only_ones_own_folders_and_those_of_trusted_people_pass() {
    for part in [Part::Job, Part::Folder] {
        let ask = |trust: &Trust, seen| doubt(trust, part, seen);
        assert_eq!(ask(&trusting(&[], &[]), folder(ME, ME, 0o755)), None, "one's own");
        assert_eq!(ask(&trusting(&[], &[]), folder(ANN, ANN, 0o755)), Some(Doubt::Stranger));
        assert_eq!(ask(&trusting(&[], &[]), folder(0, 0, 0o755)), Some(Doubt::Stranger), "root's is somebody else's, too");
        assert_eq!(ask(&Trust::default(), folder(ANN, ANN, 0o755)), Some(Doubt::Stranger), "root trusts nobody unasked");
        assert_eq!(ask(&trusting(&[ANN], &[]), folder(ANN, ANN, 0o755)), None, "a trusted user's");
        assert_eq!(ask(&trusting(&[], &[LAB]), folder(1002, LAB, 0o755)), None, "a trusted group's");
        assert_eq!(ask(&trusting(&[], &[LAB]), folder(ANN, ANN, 0o755)), None, "that of a member of a trusted group");
        assert_eq!(ask(&trusting(&[], &[LAB]), folder(1002, 1002, 0o755)), Some(Doubt::Stranger), "that of no member");
    }
}

#[test]
fn what_everybody_may_write_is_nobodys_whoever_owns_it_and_sticky_or_not() {
    let trust = trusting(&[ANN], &[LAB]);
    for mode in [0o777, 0o1777, 0o757, 0o2777, 0o702] {
        for part in [Part::Job, Part::Folder] {
            assert_eq!(doubt(&trust, part, folder(ME, LAB, mode)), Some(Doubt::Everybody), "{mode:o}");
        }
    }
    let file = Owned { kind: Kind::File, ..folder(ME, ME, 0o666) };
    assert_eq!(doubt(&trust, Part::Spec, file), Some(Doubt::Everybody));
    assert_eq!(doubt(&trust, Part::Plan, file), Some(Doubt::Everybody));
}

#[test]
fn a_group_may_write_only_if_it_is_trusted_or_the_owners_private_one() {
    for mode in [0o775, 0o770, 0o2775] {
        assert_eq!(doubt(&trusting(&[], &[]), Part::Job, folder(ME, ME, mode)), None, "the usual umask of 002: a private group");
        assert_eq!(doubt(&trusting(&[], &[]), Part::Job, folder(ME, LAB, mode)), Some(Doubt::Group));
        assert_eq!(doubt(&trusting(&[], &[LAB]), Part::Job, folder(ME, LAB, mode)), None);
        assert_eq!(
            doubt(&trusting(&[ANN], &[]), Part::Job, folder(ANN, LAB, mode)),
            Some(Doubt::Group),
            "trust in Ann is no trust in her lab"
        );
        assert_eq!(doubt(&trusting(&[ANN], &[]), Part::Job, folder(ANN, ANN, mode)), None);
    }
}

#[test]
fn a_plan_may_be_of_any_coordinator_that_could_write_its_folder_but_of_no_further_writer() {
    let plan = |uid, gid, mode| Owned { kind: Kind::File, ..folder(uid, gid, mode) };
    assert_eq!(doubt(&trusting(&[], &[]), Part::Plan, plan(1002, 1002, 0o664)), None);
    assert_eq!(doubt(&trusting(&[], &[]), Part::Spec, plan(1002, 1002, 0o644)), Some(Doubt::Stranger), "the job itself is its owner's");
    assert_eq!(doubt(&trusting(&[], &[]), Part::Plan, plan(ME, LAB, 0o664)), Some(Doubt::Group));
}

#[test]
fn links_and_pipes_are_no_parts_of_a_job() {
    for kind in [Kind::Link, Kind::Special, Kind::File] {
        assert_eq!(doubt(&trusting(&[], &[]), Part::Folder, Owned { kind, ..folder(ME, ME, 0o755) }), Some(Doubt::Kind));
    }
    for kind in [Kind::Link, Kind::Special, Kind::Folder] {
        assert_eq!(doubt(&trusting(&[], &[]), Part::Spec, Owned { kind, ..folder(ME, ME, 0o755) }), Some(Doubt::Kind));
    }
}

#[test]
fn a_refusal_says_what_it_saw_and_what_to_do() {
    let trust = trusting(&[], &[]);
    let text = |seen, doubt| trust.refusal(Part::Job, Path::new("/mnt/job"), seen, doubt).to_string();
    let cases = [
        (
            text(folder(4_000_001, 4_000_002, 0o755), Doubt::Stranger),
            ["belongs to user uid 4000001", "`--trust-user 4000001` or `--trust-group 4000002`"],
        ),
        (text(folder(ME, 0, 0o1777), Doubt::Everybody), ["everybody may write it (mode 1777)", "`chmod o-w /mnt/job`"]),
        (text(folder(ME, 4_000_002, 0o775), Doubt::Group), ["group gid 4000002 may write it (mode 0775)", "`--trust-group 4000002`"]),
        (
            text(folder(65_534, 65_534, 0o755), Doubt::Stranger),
            ["an NFS server shows for root that it squashes", "work as an ordinary user"],
        ),
    ];
    for (text, parts) in cases {
        assert!(text.starts_with("not trusted: the job directory /mnt/job: "), "{text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}
