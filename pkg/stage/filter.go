package stage

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// In a person's directory what the agent creates is the person's on disk: a
// setuid or setgid file there would hand the person's rights to everybody.
const setID = unix.S_ISUID | unix.S_ISGID

// What makes open(2) create a file. Not O_TMPFILE, which has O_DIRECTORY in it.
const creates = unix.O_CREAT | unix.O_TMPFILE&^unix.O_DIRECTORY

// What x/sys/unix does not have.
const (
	fsSetXattr = 0x401c5820 // FS_IOC_FSSETXATTR
	fsSetFlags = 0x40086602 // FS_IOC_SETFLAGS
	ioprioUser = 3          // IOPRIO_WHO_USER

	fSetDelegation = 1024 + 16 // F_SETDELEG, from Linux 6.19 on
)

// A rule denies a system call with errno, if all of its conditions hold, or all of some
// others. There is one for a call.
type rule struct {
	call  uint32
	errno syscall.Errno
	when  []condition
	or    []condition
}

// A condition looks at the lower half of an argument only, for that is all the
// kernel looks at in a mode_t, an int or an ioctl's request: in the upper half a
// program may pass what it likes.
type condition struct {
	arg    uint32
	jump   uint16   // how to compare
	values []uint32 // with one of which
}

func bits(arg, mask uint32) condition           { return condition{arg, unix.BPF_JSET, []uint32{mask}} }
func equals(arg uint32, of ...uint32) condition { return condition{arg, unix.BPF_JEQ, of} }

// threads are those of this process, by the numbers that the program knows them by.
func threads() (ids []uint32, err error) {
	entries, err := os.ReadDir("/proc/self/task")
	for _, e := range entries {
		id, err := strconv.ParseUint(e.Name(), 10, 32)
		if err != nil {
			return nil, err
		}
		ids = append(ids, uint32(id))
	}
	return ids, err
}

// rules are those for a program of a stage with these threads. They begin with what
// programs do most. A call that is not in it costs no run
// of the filter: the kernel remembers that it is allowed whatever its arguments
// (from 5.11 on).
func rules(stage []uint32) []rule {
	const amd64Open, amd64Creat, amd64Chmod, amd64Mknod = 2, 85, 90, 133 // arm64 has only the …at ones
	r := []rule{
		{unix.SYS_OPENAT, unix.EPERM, []condition{bits(2, creates), bits(3, setID)}, nil},
		{unix.SYS_IOCTL, unix.EPERM, []condition{equals(1,
			unix.TIOCSTI, unix.TIOCLINUX, // typing into a terminal
			fsSetXattr, // another project quota
			fsSetFlags, // none for what will be made in a directory (chattr -P)
		)}, nil},
	}
	if runtime.GOARCH == "amd64" {
		r = append(r,
			rule{amd64Open, unix.EPERM, []condition{bits(1, creates), bits(2, setID)}, nil},
			rule{amd64Creat, unix.EPERM, []condition{bits(1, setID)}, nil},
			rule{amd64Chmod, unix.EPERM, []condition{bits(1, setID)}, nil},
			rule{amd64Mknod, unix.EPERM, []condition{bits(1, setID)}, nil})
	}
	// Our effective uid is the program's, and with that it has the right to have us wait for
	// ever. To all else that it could do to us our other uids are in the way (drop.go).
	ours := func(arg uint32) []condition { return []condition{equals(arg, stage...)} }
	return append(r,
		rule{unix.SYS_SCHED_SETSCHEDULER, unix.EPERM, ours(0), nil},
		rule{unix.SYS_SCHED_SETPARAM, unix.EPERM, ours(0), nil},
		rule{unix.SYS_SCHED_SETATTR, unix.EPERM, ours(0), nil},
		rule{unix.SYS_SCHED_SETAFFINITY, unix.EPERM, ours(0), nil},
		rule{unix.SYS_SETPRIORITY, unix.EPERM, ours(1), []condition{equals(0, unix.PRIO_USER)}},
		rule{unix.SYS_IOPRIO_SET, unix.EPERM, ours(1), []condition{equals(0, ioprioUser)}},
		// These keep behind a pointer, or in a ring, what has to be looked at.
		// Programs do without, as on an older kernel.
		rule{unix.SYS_OPENAT2, unix.ENOSYS, nil, nil},
		rule{unix.SYS_IO_URING_ENTER, unix.ENOSYS, nil, nil},
		rule{unix.SYS_IO_URING_SETUP, unix.ENOSYS, nil, nil},
		rule{unix.SYS_IO_URING_REGISTER, unix.ENOSYS, nil, nil},
		rule{unix.SYS_FILE_SETATTR, unix.ENOSYS, nil, nil}, // as fsSetXattr
		// A uid's keyrings are common to all its sessions, of whichever person.
		rule{unix.SYS_ADD_KEY, unix.ENOSYS, nil, nil},
		rule{unix.SYS_REQUEST_KEY, unix.ENOSYS, nil, nil},
		rule{unix.SYS_KEYCTL, unix.ENOSYS, nil, nil},
		// A queue has a file, which overlayfs copies with its mode into a person's directory.
		rule{unix.SYS_MQ_OPEN, unix.EPERM, []condition{bits(1, unix.O_CREAT), bits(2, setID)}, nil},
		// Who holds a lease on a file keeps everybody who opens it waiting for 45 seconds
		// (fs.lease-break-time=): the person, whose file it is, and again and again.
		rule{unix.SYS_FCNTL, unix.EINVAL, []condition{equals(1, unix.F_SETLEASE, fSetDelegation)}, nil},
		rule{unix.SYS_PRLIMIT64, unix.EPERM, []condition{equals(0, 1)}, nil}, // of the stage
		rule{unix.SYS_FCHMOD, unix.EPERM, []condition{bits(1, setID)}, nil},
		rule{unix.SYS_FCHMODAT, unix.EPERM, []condition{bits(2, setID)}, nil},
		rule{unix.SYS_FCHMODAT2, unix.EPERM, []condition{bits(2, setID)}, nil},
		rule{unix.SYS_MKNODAT, unix.EPERM, []condition{bits(2, setID)}, nil})
	// Not mkdir and mkdirat: they ignore these bits (and inherit setgid).
}

// Where struct seccomp_data has what (seccomp(2)), on little-endian machines.
const atCall, atArch, atArgs = 0, 4, 16

func load(at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
}

// jump skips then or otherwise instructions.
func jump(how uint16, k uint32, then, otherwise int) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | how, K: k, Jt: uint8(then), Jf: uint8(otherwise)}
}

func result(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

func deny(errno syscall.Errno) unix.SockFilter {
	return result(unix.SECCOMP_RET_ERRNO | uint32(errno))
}

var allow = result(unix.SECCOMP_RET_ALLOW)

// assemble makes, of one rule, what runs with the call's number loaded, decides
// if it is this call, and goes on behind itself if not.
func (r rule) assemble() []unix.SockFilter {
	code := []unix.SockFilter{allow}
	if r.or != nil {
		code = append(r.denyIf(r.or), code...)
	}
	code = append(r.denyIf(r.when), code...)
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, r.call, 0, len(code))}, code...)
}

// denyIf goes on behind itself if not all of the conditions hold.
func (r rule) denyIf(all []condition) []unix.SockFilter {
	code := []unix.SockFilter{deny(r.errno)}
	for _, c := range slices.Backward(all) {
		test := []unix.SockFilter{load(atArgs + 8*c.arg)}
		for i, v := range c.values {
			left := len(c.values) - 1 - i
			no := 0 // the next value
			if left == 0 {
				no = len(code)
			}
			test = append(test, jump(c.jump, v, left, no))
		}
		code = append(test, code...)
	}
	return code
}

// program is the whole filter. System calls of other architectures are none of an
// agent's: the same numbers mean others there. A 32-bit program is killed, with
// "Bad system call"; it would not live with ENOSYS either (glibc crashes then, and
// musl tries for ever to exit). x32 is amd64 with a bit in the numbers, and
// answers as kernels without it.
func program(stage []uint32) ([]unix.SockFilter, error) {
	arch, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("no seccomp filter for %s", runtime.GOARCH)
	}
	const x32, skipped = 0x40000000, 0xffffffff // the latter is how a debugger skips a call
	code := []unix.SockFilter{
		load(atArch), jump(unix.BPF_JEQ, arch, 1, 0), result(unix.SECCOMP_RET_KILL_PROCESS),
		load(atCall), jump(unix.BPF_JGE, x32, 0, 3), jump(unix.BPF_JEQ, skipped, 0, 1), allow, deny(unix.ENOSYS),
	}
	for _, r := range rules(stage) {
		code = append(code, r.assemble()...)
	}
	return append(code, allow), nil
}

// filter denies to the calling thread, and to all that it starts, what would
// leave setuid or setgid files behind, what another session could read, and what
// would slow us down. It needs no_new_privs.
func filter() error {
	stage, err := threads()
	if err != nil {
		return err
	}
	code, err := program(stage)
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// Without SPEC_ALLOW kernels before 5.16 slow down all that runs under a filter,
	// as if it were there against Spectre.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("installing the seccomp filter: %w", errno)
	}
	return nil
}
