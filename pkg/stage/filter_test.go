package stage

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The child that the filter is tried in: its value is yes or no, whether it
// installs one.
const filterChild = "AAAU_TEST_FILTER"

// Like TestMain in drop_test.go: there is no way back.
func init() {
	if mode := os.Getenv(filterChild); mode != "" {
		runtime.LockOSThread()
		if err := json.NewEncoder(os.Stdout).Encode(tryAll(mode == "yes")); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
}

type tried struct {
	Name        string
	Errno, Want syscall.Errno
	File        bool   // whether it is to make a file
	Mode        uint32 // of that, if it is there
}

type filterReport struct {
	Err      string
	TooEarly syscall.Errno // without no_new_privs
	Tries    []tried
	Programs map[string]string // name and what went wrong
}

type try struct {
	name     string
	filtered syscall.Errno
	free     syscall.Errno // without the filter
	file     string        // must have setID without the filter, and not with it
	do       func() syscall.Errno
}

var keep []any // what is passed to the kernel as a number

func cstr(s string) uintptr {
	b := append([]byte(s), 0)
	keep = append(keep, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

// tries are made in a directory of the child's own.
func tries(dir string) []try {
	const junk = 0xdeadbeef << 32 // above what the kernel looks at
	const cwd, cwdJunk = ^uintptr(99), 0x1234_ffff_ff9c
	const tmpfile = unix.O_TMPFILE &^ unix.O_DIRECTORY
	n := 0
	path := func(made bool) string {
		n++
		p := filepath.Join(dir, fmt.Sprint(n))
		if made {
			os.WriteFile(p, nil, 0o644)
		}
		return p
	}
	raw := func(nr uintptr, a ...uintptr) func() syscall.Errno {
		a = append(a, make([]uintptr, 6-len(a))...)
		return func() syscall.Errno {
			_, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
			return errno
		}
	}
	// anonymous is for a file that has no name to look at afterwards: EDOM if it has neither bit.
	anonymous := func(nr uintptr, a ...uintptr) func() syscall.Errno {
		a = append(a, make([]uintptr, 6-len(a))...)
		return func() syscall.Errno {
			fd, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
			if errno != 0 {
				return errno
			}
			defer unix.Close(int(fd))
			var st unix.Stat_t
			if err := unix.Fstat(int(fd), &st); err != nil || st.Mode&setID == 0 {
				return unix.EDOM
			}
			return 0
		}
	}
	var list []try
	eperm := func(name, file string, do func() syscall.Errno) {
		list = append(list, try{name, unix.EPERM, 0, file, do})
	}
	if f, err := os.Create(path(false)); err == nil {
		keep = append(keep, f)
		for name, kind := range map[string]uintptr{"read": unix.F_RDLCK, "write": unix.F_WRLCK} {
			free := syscall.Errno(0)
			if kind == unix.F_RDLCK {
				free = unix.EAGAIN // as it is open for writing
			}
			list = append(list, try{name + " lease", unix.EINVAL, free, "", raw(unix.SYS_FCNTL, f.Fd(), junk|unix.F_SETLEASE, kind)})
		}
		list = append(list, try{"no lease", 0, 0, "", raw(unix.SYS_FCNTL, f.Fd(), unix.F_GETLEASE)})
	}
	modes := map[string]uintptr{"setuid": 0o4755, "setgid": 0o2755, "both": 0o6777, "junk": junk | 0xffff_0000 | 0o4755, "sticky too": 0o5755}
	for _, m := range []string{"setuid", "setgid", "both", "junk", "sticky too"} {
		mode := modes[m]
		p := path(true)
		eperm("fchmodat "+m, p, raw(unix.SYS_FCHMODAT, cwd, cstr(p), mode))
		p = path(true)
		eperm("fchmodat2 "+m, p, raw(452, cwd, cstr(p), mode, 0))
		p = path(true)
		fd, _ := unix.Open(p, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		eperm("fchmod "+m, p, raw(unix.SYS_FCHMOD, uintptr(fd), mode))
		p = path(false)
		eperm("openat "+m, p, raw(unix.SYS_OPENAT, cwd, cstr(p), unix.O_CREAT|unix.O_WRONLY, mode))
		p = path(false)
		eperm("openat with flags' junk "+m, p, raw(unix.SYS_OPENAT, cwdJunk, cstr(p), junk|unix.O_CREAT|unix.O_EXCL|unix.O_RDWR, mode))
		eperm("openat O_TMPFILE "+m, "", anonymous(unix.SYS_OPENAT, cwd, cstr(dir), unix.O_TMPFILE|unix.O_RDWR, mode))
		eperm("openat O_TMPFILE by bits "+m, "", anonymous(unix.SYS_OPENAT, cwd, cstr(dir), junk|tmpfile|unix.O_DIRECTORY|unix.O_RDWR, mode))
		p = path(false)
		eperm("mknodat "+m, p, raw(unix.SYS_MKNODAT, cwd, cstr(p), unix.S_IFREG|mode, 0))
		p = path(false)
		eperm("mknodat without a type "+m, p, raw(unix.SYS_MKNODAT, cwd, cstr(p), mode&^junk&0o7777, 0))
		p = path(false)
		eperm("mknodat fifo "+m, p, raw(unix.SYS_MKNODAT, cwd, cstr(p), unix.S_IFIFO|mode&0o7777, 0))
		if runtime.GOARCH != "amd64" {
			continue
		}
		p = path(true)
		eperm("chmod "+m, p, raw(90, cstr(p), mode))
		p = path(true)
		eperm("chmod by a number with junk "+m, p, raw(junk|90, cstr(p), mode))
		p = path(false)
		eperm("open "+m, p, raw(2, cstr(p), junk|unix.O_CREAT|unix.O_WRONLY, mode))
		eperm("open O_TMPFILE "+m, "", anonymous(2, cstr(dir), unix.O_TMPFILE|unix.O_RDWR, mode))
		p = path(false)
		eperm("creat "+m, p, raw(85, cstr(p), mode))
		p = path(false)
		eperm("mknod "+m, p, raw(133, cstr(p), unix.S_IFREG|mode, 0))
		p = path(true)
		list = append(list, try{"x32 chmod " + m, unix.ENOSYS, unix.ENOSYS, "", raw(0x40000000|90, cstr(p), mode)})
		if mode < 0o10000 {
			p = path(true)
			list = append(list, try{"i386 chmod " + m, killed, 0, p, func() syscall.Errno { return int80chmod(dir, p, uint32(mode)) }})
		}
	}

	how := &unix.OpenHow{Flags: unix.O_CREAT | unix.O_WRONLY, Mode: 0o4755}
	keep = append(keep, how)
	p := path(false)
	list = append(list, try{"openat2", unix.ENOSYS, 0, p, raw(437, cwd, cstr(p), uintptr(unsafe.Pointer(how)), unsafe.Sizeof(*how))})

	null, _ := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	p = path(true)
	file, _ := unix.Open(p, unix.O_RDWR|unix.O_CLOEXEC, 0)
	other := func(name string, filtered, free syscall.Errno, nr uintptr, a ...uintptr) {
		list = append(list, try{name, filtered, free, "", raw(nr, a...)})
	}
	for name, high := range map[string]uintptr{"": 0, " with junk": junk} {
		other("TIOCSTI"+name, unix.EPERM, unix.ENOTTY, unix.SYS_IOCTL, uintptr(null), high|unix.TIOCSTI, cstr("x"))
		other("TIOCLINUX"+name, unix.EPERM, unix.ENOTTY, unix.SYS_IOCTL, uintptr(null), high|unix.TIOCLINUX, cstr("\x03"))
		other("FS_IOC_FSSETXATTR"+name, unix.EPERM, unix.EFAULT, unix.SYS_IOCTL, uintptr(file), high|0x401c5820, 1)
		other("FS_IOC_SETFLAGS"+name, unix.EPERM, unix.EFAULT, unix.SYS_IOCTL, uintptr(file), high|0x40086602, 1)
		other("TIOCGWINSZ"+name, unix.ENOTTY, unix.ENOTTY, unix.SYS_IOCTL, uintptr(null), high|unix.TIOCGWINSZ, 1)
		other("TIOCINQ"+name, unix.EFAULT, unix.EFAULT, unix.SYS_IOCTL, uintptr(file), high|unix.TIOCINQ, 1)
	}
	other("file_setattr", unix.ENOSYS, unix.EINVAL, 469)
	other("io_uring_setup", unix.ENOSYS, unix.EFAULT, 425, 1, 0)
	other("io_uring_enter", unix.ENOSYS, unix.EBADF, 426, 12345)
	other("io_uring_register", unix.ENOSYS, unix.EBADF, 427, 12345)
	other("keyctl", unix.ENOSYS, unix.EOPNOTSUPP, unix.SYS_KEYCTL, 9999)
	other("add_key", unix.ENOSYS, unix.EFAULT, unix.SYS_ADD_KEY)
	other("request_key", unix.ENOSYS, unix.EFAULT, unix.SYS_REQUEST_KEY)
	other("no call", unix.ENOSYS, unix.ENOSYS, ^uintptr(0))

	for name, high := range map[string]uintptr{"": 0, " with junk": junk} {
		other("prlimit64 of process 1"+name, unix.EPERM, unix.EFAULT, unix.SYS_PRLIMIT64, high|1, unix.RLIMIT_NOFILE, 0, 1)
		other("mq_open setuid"+name, unix.EPERM, unix.EFAULT, unix.SYS_MQ_OPEN, 1, high|unix.O_CREAT|unix.O_RDWR, high|0o4700, 0)
		other("mq_open setgid"+name, unix.EPERM, unix.EFAULT, unix.SYS_MQ_OPEN, 1, high|unix.O_CREAT|unix.O_RDWR, high|0o2705, 0)
		other("mq_open"+name, unix.EFAULT, unix.EFAULT, unix.SYS_MQ_OPEN, 1, high|unix.O_CREAT|unix.O_RDWR, high|0o700, 0)
	}
	other("prlimit64 of oneself", 0, 0, unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, 0, 0)

	// This thread is a stage's, here.
	self, attr := uintptr(unix.Gettid()), &unix.SchedAttr{Size: unix.SizeofSchedAttr}
	keep = append(keep, attr)
	for name, who := range map[string]uintptr{"": self, " with junk": junk | self} {
		other("sched_setscheduler"+name, unix.EPERM, unix.EFAULT, unix.SYS_SCHED_SETSCHEDULER, who, 0, 1)
		other("sched_setparam"+name, unix.EPERM, unix.EFAULT, unix.SYS_SCHED_SETPARAM, who, 1)
		other("sched_setattr"+name, unix.EPERM, 0, unix.SYS_SCHED_SETATTR, who, uintptr(unsafe.Pointer(attr)), 0)
		other("sched_setaffinity"+name, unix.EPERM, unix.EFAULT, unix.SYS_SCHED_SETAFFINITY, who, 8, 1)
		other("setpriority"+name, unix.EPERM, 0, unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, who, 0)
		other("ioprio_set"+name, unix.EPERM, 0, unix.SYS_IOPRIO_SET, 1, who, 0)
		other("setpriority of a user"+name, unix.EPERM, unix.ESRCH, unix.SYS_SETPRIORITY, who&junk|unix.PRIO_USER, 54321, 0)
		other("ioprio_set of a user"+name, unix.EPERM, unix.ESRCH, unix.SYS_IOPRIO_SET, who&junk|3, 54321, 0)
	}
	other("setpriority of oneself", 0, 0, unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, 0)
	other("sched_setattr of oneself", 0, 0, unix.SYS_SCHED_SETATTR, 0, uintptr(unsafe.Pointer(attr)), 0)

	// What goes on as ever.
	for _, mode := range []uintptr{0o755, 0o1777, junk | 0o600, 0xffff_0000 | 0o600} {
		p := path(true)
		other(fmt.Sprintf("fchmodat %o", mode), 0, 0, unix.SYS_FCHMODAT, cwd, cstr(p), mode)
		p = path(false)
		other(fmt.Sprintf("openat %o", mode), 0, 0, unix.SYS_OPENAT, cwd, cstr(p), unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, mode)
		p = path(false)
		other(fmt.Sprintf("mknodat %o", mode), 0, 0, unix.SYS_MKNODAT, cwd, cstr(p), unix.S_IFIFO|mode, 0)
	}
	other("openat that creates nothing, mode left over", 0, 0, unix.SYS_OPENAT, cwd, cstr(p), unix.O_RDWR|unix.O_CLOEXEC, 0o6777)
	other("openat of a directory, mode left over", 0, 0, unix.SYS_OPENAT, cwd, cstr(dir), unix.O_DIRECTORY|unix.O_CLOEXEC, 0o6777)
	return list
}

// ordinary does what needs more than an errno to look at.
func ordinary(dir string) error {
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return err
	}
	f.Close()
	for name, want := range map[string]uint32{"inherits/made": unix.S_ISGID, "plain": 0} {
		if err := unix.Mkdir(filepath.Join(dir, name), 0o4755); err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, name), &st); err != nil {
			return err
		}
		if st.Mode&setID != want {
			return fmt.Errorf("directory %s has mode %o", name, st.Mode)
		}
	}
	return nil
}

func tryAll(withFilter bool) (r filterReport) {
	dir, err := os.Getwd()
	if err != nil {
		r.Err = err.Error()
		return r
	}
	unix.Umask(0o022)
	list := tries(dir)
	if withFilter {
		errors.As(filter(), &r.TooEarly)
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			r.Err = err.Error()
			return r
		}
		if err := filter(); err != nil {
			r.Err = err.Error()
			return r
		}
	}
	for _, t := range list {
		done := tried{Name: t.name, Errno: t.do(), Want: t.free, File: t.file != ""}
		if withFilter {
			done.Want = t.filtered
		}
		var st unix.Stat_t
		if t.file != "" && unix.Lstat(t.file, &st) == nil {
			done.Mode = st.Mode
		}
		r.Tries = append(r.Tries, done)
	}
	if err := ordinary(dir); err != nil {
		r.Err = err.Error()
	}
	r.Programs = map[string]string{}
	for _, c := range [][]string{
		{"true"}, {"sh", "-c", "echo x >there && chmod 755 there && cp -p there copy && mkdir -m 1777 sticky"},
		{"tar", "cf", "all.tar", "there"}, {"git", "init", "-q", "repository"},
		{"python3", "-c", "import os, tempfile; tempfile.TemporaryFile()"},
		{"node", "-e", "require('fs').writeFileSync('by-node', 'x'); require('fs').promises.readFile('by-node').then(() => 0)"},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		r.Programs[c[0]] = ""
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			r.Programs[c[0]] = fmt.Sprintf("%v: %s", err, out)
		}
	}
	return r
}

const killed = syscall.Errno(128 + unix.SIGSYS)

// int80chmod has a program of its own make the 32-bit system call, which 64-bit
// ones can. Its exit status is the errno.
func int80chmod(dir, path string, mode uint32) syscall.Errno {
	const base, header = 0x400000, 64 + 56
	code := []byte{0xb8, 15, 0, 0, 0} // mov $15, %eax: chmod
	const size = 5 + 5 + 5 + 2 + 2 + 2 + 5 + 2
	code = binary.LittleEndian.AppendUint32(append(code, 0xbb), base+header+size)          // mov $path, %ebx
	code = binary.LittleEndian.AppendUint32(append(code, 0xb9), mode)                      // mov $mode, %ecx
	code = append(code, 0xcd, 0x80, 0xf7, 0xd8, 0x89, 0xc7, 0xb8, 60, 0, 0, 0, 0x0f, 0x05) // int $0x80; neg %eax; mov %eax, %edi; exit
	code = append(append(code, path...), 0)
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), uint64(base + header), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), uint64(header + len(code)), uint64(header + len(code)), uint64(0x1000),
	} {
		elf, _ = binary.Append(elf, binary.LittleEndian, v)
	}
	program := path + ".elf"
	if err := os.WriteFile(program, append(elf, code...), 0o755); err != nil {
		return unix.EIO
	}
	err := exec.Command(program).Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return syscall.Errno(exit.ExitCode())
	case errors.As(err, &exit): // by the filter, or by a kernel without 32-bit calls
		return killed
	}
	return unix.EIO
}

// runFilterChild runs the tries as an ordinary user.
func runFilterChild(t *testing.T, mode string) (dir string, r filterReport) {
	t.Helper()
	const uid = 4321
	// Not t.TempDir, whose parents are root's alone.
	dir, err := os.MkdirTemp("", "aaau-filter-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	inherits := filepath.Join(dir, "inherits")
	err = errors.Join(os.Mkdir(inherits, 0o755), os.Chown(inherits, uid, uid), os.Chmod(inherits, 0o755|os.ModeSetgid), os.Chown(dir, uid, uid))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = dir
	cmd.Env = []string{filterChild + "=" + mode, "HOME=" + dir, "TMPDIR=" + dir, "PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for name, wrong := range r.Programs {
		if wrong != "" {
			t.Errorf("%s: %s", name, wrong)
		}
	}
	return dir, r
}

func TestFilter(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test becomes another user: run it as root (sudo make check)")
	}
	dir, r := runFilterChild(t, "yes")
	if r.Err != "" {
		t.Error(r.Err)
	}
	if r.TooEarly != unix.EACCES {
		t.Errorf("without no_new_privs: %v", r.TooEarly)
	}
	for _, got := range r.Tries {
		if got.Errno != got.Want {
			t.Errorf("%s: %v, not %v", got.Name, got.Errno, got.Want)
		}
		if got.Mode&setID != 0 {
			t.Errorf("%s: the file has mode %o", got.Name, got.Mode)
		}
	}
	// Whatever a try says of itself: nothing is left.
	filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil || !fi.IsDir() && fi.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			t.Errorf("%s: %v %v", path, fi, err)
		}
		return nil
	})
}

// Without the filter all that does what the filter is there to prevent; otherwise
// the other test would show nothing.
func TestFilterIsNeeded(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("this test becomes another user: run it as root (sudo make check)")
	}
	_, r := runFilterChild(t, "no")
	if r.Err != "" {
		t.Error(r.Err)
	}
	for _, got := range r.Tries {
		switch {
		case got.Errno == got.Want && got.File && got.Mode&setID == 0:
			t.Errorf("%s: the file has mode %o", got.Name, got.Mode)
		case got.Errno == got.Want:
		case got.Errno == unix.ENOSYS || got.Errno == unix.EPERM || got.Errno == killed: // older than the call, or in somebody's container
			t.Logf("%s: %v", got.Name, got.Errno)
		default:
			t.Errorf("%s: %v, not %v", got.Name, got.Errno, got.Want)
		}
	}
}

func BenchmarkFilter(b *testing.B) {
	zero, err := unix.Open("/dev/zero", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	byte1 := make([]byte, 1)
	name := []byte("/dev/zero\x00")
	p, at := uintptr(unsafe.Pointer(&byte1[0])), uintptr(unsafe.Pointer(&name[0]))
	for _, c := range []struct {
		name string
		call [5]uintptr
	}{
		{"getpid", [5]uintptr{unix.SYS_GETPID}},
		{"read", [5]uintptr{unix.SYS_READ, uintptr(zero), p, 1}},
		{"openat", [5]uintptr{unix.SYS_OPENAT, 0, at, unix.O_RDONLY, 0}}, // and close
		{"ioctl", [5]uintptr{unix.SYS_IOCTL, uintptr(zero), unix.TCGETS, p}},
		{"mknodat", [5]uintptr{unix.SYS_MKNODAT, 0, 0, 0o600}}, // the last in the filter; fails
	} {
		for _, with := range []string{"without", "with"} {
			b.Run(c.name+"/"+with, func(b *testing.B) {
				runtime.LockOSThread() // for good: it ends with this goroutine
				if with == "with" {
					if err := filter(); err != nil {
						b.Fatal(err)
					}
				}
				for b.Loop() {
					fd, _, errno := unix.RawSyscall6(c.call[0], c.call[1], c.call[2], c.call[3], c.call[4], 0, 0)
					if c.name == "openat" && errno == 0 {
						unix.Close(int(fd))
					}
				}
			})
		}
	}
	runtime.KeepAlive(byte1)
	runtime.KeepAlive(name)
}
