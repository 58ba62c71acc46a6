/* worker_confine: what a worker gives up before it sees a byte from outside (T10): resource limits, Landlock, seccomp.
 *
 * Landlock is asked for with an empty rule set: no file can be opened, no port bound or connected to. Where the kernel has none,
 * seccomp alone keeps the process from opening anything, since the system calls for it are not on the list. A call that is not
 * on the list ends the process, which costs one frame. */
#include "worker.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- resources --------------------------------------------------------------------------------------------------------- */

static int limit(int what, uint64_t value, gn_error *e) {
    struct rlimit r = { (rlim_t)value, (rlim_t)value };
    return setrlimit((__rlimit_resource_t)what, &r) == 0 ? 0 : gn_fail_errno(e, errno, "setrlimit %d", what);
}

static int limit_resources(uint64_t memory, gn_error *e) {
    int rc = limit(RLIMIT_CORE, 0, e);
    if (!rc) rc = limit(RLIMIT_FSIZE, 0, e);
    if (!rc) rc = limit(RLIMIT_NOFILE, 16, e);
    if (!rc && !SANITIZED) rc = limit(RLIMIT_AS, memory, e);
    return rc;
}

/* ---- Landlock ---------------------------------------------------------------------------------------------------------- */

#ifdef SYS_landlock_create_ruleset
/* Grows with the kernel's version; older kernels are told a shorter size. */
typedef struct ruleset { uint64_t files, network, scope; } ruleset;

static void forbid_files(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    if (version < 1) return;
    unsigned bits = version == 1 ? 13 : version == 2 ? 14 : version < 5 ? 15 : 16;
    ruleset r = { (UINT64_C(1) << bits) - 1, version >= 4 ? 3 : 0, version >= 6 ? 3 : 0 };
    size_t size = version < 4 ? 8 : version < 6 ? 16 : 24;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0u);
    if (fd < 0) return;
    (void)syscall(SYS_landlock_restrict_self, fd, 0u);
    close(fd);
}
#else
static void forbid_files(void) {}
#endif

/* ---- seccomp ----------------------------------------------------------------------------------------------------------- */

/* Memory, the clock, waking threads, ending: what malloc, the libraries and this room's loop use. */
static const int allowed[] = { SCMP_SYS(read), SCMP_SYS(close), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise),
    SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(setitimer), SCMP_SYS(sched_yield), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(restart_syscall) };

/* No memory that can be executed; messages on the one socket only. */
static int forbid_calls(int fd, gn_error *e) {
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    const struct scmp_arg_cmp no_code = { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 }, this_socket = { 0, SCMP_CMP_EQ, (scmp_datum_t)fd, 0 };
    const struct { int call; struct scmp_arg_cmp only; } conditional[] = { { SCMP_SYS(mmap), no_code }, { SCMP_SYS(mprotect), no_code },
        { SCMP_SYS(sendmsg), this_socket }, { SCMP_SYS(recvmsg), this_socket } };
    int rc = f ? 0 : -ENOMEM;
    for (size_t i = 0; i < GN_ARRAY_LEN(allowed) && !rc; i++) rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < GN_ARRAY_LEN(conditional) && !rc; i++) rc = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, conditional[i].call, 1, &conditional[i].only);
    if (!rc) rc = seccomp_load(f);
    if (f) seccomp_release(f);
    return rc ? gn_fail_errno(e, -rc, "seccomp") : 0;
}

int worker_confine(uint64_t memory, int fd, gn_error *e) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return gn_fail_errno(e, errno, "prctl");
    int rc = limit_resources(memory, e);
    if (rc) return rc;
    forbid_files();
    return SANITIZED ? 0 : forbid_calls(fd, e);
}
