//! The system calls that a decoder never needs, and that attacks on a kernel or its neighbours begin with.
//!
//! A list of what is forbidden, not of what is allowed: builds of ffmpeg, its libraries and drivers differ too much
//! from machine to machine, and files and network are Landlock's.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Calls that fail with "Permission denied" whatever their arguments are.
const FORBIDDEN: &[libc::c_long] = &[
    // The network, of every family: Landlock knows only TCP.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Other processes: their memory, their descriptors, their limits.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    // Our own limits, which root could raise again.
    libc::SYS_setrlimit,
    // Files that it may read, but not shorten: Landlock knows that only from ABI 3 on.
    libc::SYS_truncate,
    // Names of the machine: mounts, roots, namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_mknodat,
    libc::SYS_open_by_handle_at,
    // Large and young parts of the kernel.
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_personality,
    // The machine itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// The same, for calls that only this processor has.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[libc::c_long] = &[];

/// A second numbering of all calls on x86-64, for programs with short pointers; a filter must know both.
#[cfg(target_arch = "x86_64")]
const NUMBERINGS: &[libc::c_long] = &[0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const NUMBERINGS: &[libc::c_long] = &[0];

/// Forbids these calls to this process and to all that it becomes. Also gives up every way to new privileges.
pub(super) fn forbid() -> Result<(), seccompiler::Error> {
    seccompiler::apply_filter(&program(rules()?, libc::EACCES)?)?;
    // Calls whose arguments a filter cannot read. Told that they do not exist, the C library takes the older ones.
    let young = [libc::SYS_clone3, libc::SYS_openat2].map(|call| (call, Vec::new()));
    seccompiler::apply_filter(&program(young.into(), libc::ENOSYS)?)
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::Error> {
    use SeccompCmpOp::{MaskedEq, Ne};
    let mut rules = BTreeMap::new();
    for numbering in NUMBERINGS {
        let whole = FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|call| (call + numbering, Vec::new()));
        rules.extend(whole);
        let mut part = |call: libc::c_long, argument: u8, op: SeccompCmpOp, value: u64| {
            let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?;
            rules.insert(call + numbering, vec![SeccompRule::new(vec![condition])?]);
            Ok::<_, seccompiler::Error>(())
        };
        // Threads, but no processes: a codec that multiplies itself stays one process with its limits.
        part(libc::SYS_clone, 0, MaskedEq(u64::from(libc::CLONE_THREAD.unsigned_abs())), 0)?;
        // Signals to itself only, as `abort` does.
        part(libc::SYS_tgkill, 0, Ne, u64::from(std::process::id()))?;
        // Emptying a file that it may only read: opening for reading with O_TRUNC.
        let mode = MaskedEq(u64::from((libc::O_ACCMODE | libc::O_TRUNC).unsigned_abs()));
        let shortens = u64::from(libc::O_TRUNC.unsigned_abs());
        part(libc::SYS_openat, 2, mode.clone(), shortens)?;
        #[cfg(target_arch = "x86_64")]
        part(libc::SYS_open, 1, mode, shortens)?;
        // Reading a limit is harmless; whoever sets one names where the new one lies.
        let sets = SeccompCondition::new(2, SeccompCmpArgLen::Qword, Ne, 0)?;
        rules.insert(libc::SYS_prlimit64 + numbering, vec![SeccompRule::new(vec![sets])?]);
    }
    Ok(rules)
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()?)
}
