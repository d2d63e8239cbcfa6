package inject

import "golang.org/x/sys/unix"

// A form says where in the arguments of a call its file is. -1: nowhere.
type form struct {
	name     string
	fd, path int // a path is relative to fd, or fd is the file itself
}

// forms are the calls on files.
var forms = map[uint64]form{
	unix.SYS_READ:            {"read", 0, -1},
	unix.SYS_PREAD64:         {"pread", 0, -1},
	unix.SYS_READV:           {"readv", 0, -1},
	unix.SYS_PREADV:          {"preadv", 0, -1},
	unix.SYS_WRITE:           {"write", 0, -1},
	unix.SYS_PWRITE64:        {"pwrite", 0, -1},
	unix.SYS_WRITEV:          {"writev", 0, -1},
	unix.SYS_PWRITEV:         {"pwritev", 0, -1},
	unix.SYS_CLOSE:           {"close", 0, -1},
	unix.SYS_FSYNC:           {"fsync", 0, -1},
	unix.SYS_FDATASYNC:       {"fdatasync", 0, -1},
	unix.SYS_FTRUNCATE:       {"ftruncate", 0, -1},
	unix.SYS_FALLOCATE:       {"fallocate", 0, -1},
	unix.SYS_FSTAT:           {"fstat", 0, -1},
	unix.SYS_FSTATFS:         {"fstatfs", 0, -1},
	unix.SYS_LSEEK:           {"lseek", 0, -1},
	unix.SYS_GETDENTS64:      {"getdents", 0, -1},
	unix.SYS_FCHMOD:          {"fchmod", 0, -1},
	unix.SYS_FLOCK:           {"flock", 0, -1},
	unix.SYS_SENDFILE:        {"sendfile", 1, -1},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", 2, -1},
	unix.SYS_SPLICE:          {"splice", 2, -1},
	unix.SYS_OPENAT:          {"openat", 0, 1},
	unix.SYS_OPENAT2:         {"openat", 0, 1},
	unix.SYS_MKDIRAT:         {"mkdirat", 0, 1},
	unix.SYS_NEWFSTATAT:      {"fstatat", 0, 1},
	unix.SYS_STATX:           {"statx", 0, 1},
	unix.SYS_UNLINKAT:        {"unlinkat", 0, 1},
	unix.SYS_READLINKAT:      {"readlinkat", 0, 1},
	unix.SYS_FACCESSAT:       {"faccessat", 0, 1},
	unix.SYS_FACCESSAT2:      {"faccessat", 0, 1},
	unix.SYS_FCHMODAT:        {"fchmodat", 0, 1},
	unix.SYS_LINKAT:          {"linkat", 2, 3}, // the new name
	unix.SYS_RENAMEAT:        {"renameat", 2, 3},
	unix.SYS_RENAMEAT2:       {"renameat", 2, 3},
	unix.SYS_STATFS:          {"statfs", -1, 0},
	unix.SYS_STAT:            {"stat", -1, 0},
	unix.SYS_LSTAT:           {"stat", -1, 0},
	unix.SYS_OPEN:            {"open", -1, 0},
	unix.SYS_MKDIR:           {"mkdir", -1, 0},
	unix.SYS_UNLINK:          {"unlink", -1, 0},
	unix.SYS_RENAME:          {"rename", -1, 0},
}

// silent are the calls that nobody outside the process can see: to be killed at one of them is to be killed at the call
// that counts before it or after it.
var silent = map[uint64]bool{
	unix.SYS_FUTEX: true, unix.SYS_NANOSLEEP: true, unix.SYS_CLOCK_NANOSLEEP: true, unix.SYS_SCHED_YIELD: true,
	unix.SYS_EPOLL_PWAIT: true, unix.SYS_EPOLL_WAIT: true, unix.SYS_RT_SIGPROCMASK: true, unix.SYS_RT_SIGACTION: true,
	unix.SYS_RT_SIGRETURN: true, unix.SYS_SIGALTSTACK: true, unix.SYS_TGKILL: true, unix.SYS_GETPID: true, unix.SYS_GETTID: true,
	unix.SYS_MADVISE: true, unix.SYS_MMAP: true, unix.SYS_MUNMAP: true, unix.SYS_MPROTECT: true, unix.SYS_BRK: true,
	unix.SYS_SETITIMER: true, unix.SYS_TIMER_CREATE: true, unix.SYS_TIMER_SETTIME: true, unix.SYS_TIMER_DELETE: true,
	unix.SYS_GETRANDOM: true, unix.SYS_SCHED_GETAFFINITY: true, unix.SYS_RESTART_SYSCALL: true, unix.SYS_CLONE: true,
	unix.SYS_CLONE3: true, unix.SYS_SET_ROBUST_LIST: true, unix.SYS_RSEQ: true, unix.SYS_PRCTL: true, unix.SYS_ARCH_PRCTL: true,
	unix.SYS_UNAME: true, unix.SYS_FCNTL: true, unix.SYS_GETPEERNAME: true, unix.SYS_GETSOCKNAME: true,
}
