package system

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A process that takes leave of its terminal, its session and its parent is
// still the session's.
func TestStraysEndWithTheirSession(t *testing.T) {
	for _, test := range []struct{ name, end string }{
		{"exit", "exit 0"},
		{"kill", "kill -9 $$"},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin(t)
			s := openShell(t, as(t, "operator"))
			s.do(`(setsid nohup sh -c 'trap "" TERM HUP INT; sleep 1000; true' >/dev/null 2>&1 &)`)
			sleep := find(t, s.id, "sleep", func(p process) bool { return true })
			sh := find(t, s.id, "sh", func(p process) bool { return p.sid == p.pid })
			s.typed(test.end + "\r")
			s.leave()
			for _, p := range []process{sleep, sh} {
				if !p.ended() {
					t.Errorf("%v goes on after its session", p)
				}
			}
		})
	}
}

func TestSessionsDoNotSeeEachOther(t *testing.T) {
	begin(t)
	first, second := openShell(t, as(t, "operator")), openShell(t, as(t, "observer"))
	first.prints("id -un", "agent")
	second.prints("id -un", "agent")
	if out, status := first.do("sleep 4321 & ipcmk -M 64 && ipcmk -Q && touch /tmp/ours /var/tmp/ours /dev/shm/ours"); status != 0 {
		t.Fatal(out)
	}
	first.prints("pgrep -fx 'sleep 4321' | wc -l; ipcs -m | grep -c ^0x; ipcs -q | grep -c ^0x", "1\n1\n1")

	// Neither the other's processes, nor the machine's.
	// Its first process is the stage, whatever that is called.
	second.prints("ps -e -o comm= >/tmp/ps; tail -n +2 /tmp/ps; rm /tmp/ps", "bash\nps")
	second.prints("ipcs -m | grep -c ^0x; ipcs -q | grep -c ^0x; true", "0\n0")
	second.prints("ls -A /tmp /var/tmp /dev/shm", "/dev/shm:\n\n/tmp:\n\n/var/tmp:")
	second.prints("cd /dev/pts; ls; cd", "0  ptmx")

	// There is no name that leads to the other's terminal.
	second.do("for pts in /dev/pts/* /proc/[0-9]*/fd/*; do echo intruder >$pts; done")
	if out, _ := first.do("echo"); strings.Contains(out, "intruder") {
		t.Errorf("the second session wrote to the first one's terminal: %q", out)
	}
	first.typed("exit\r")
	first.leave()
	second.close()
}

func TestAgentCannotTouchItsStage(t *testing.T) {
	begin(t)
	s := openShell(t, as(t, "operator"))
	for _, file := range []string{"environ", "mem", "maps", "auxv", "syscall", "fd/3", "exe"} {
		if out, status := s.do("cat /proc/1/" + file); status == 0 || !strings.Contains(out, "Permission denied") {
			t.Errorf("/proc/1/%s: status %d, %q", file, status, out)
		}
	}
	for _, dir := range []string{"fd", "fdinfo", "cwd", "root"} {
		if out, status := s.do("ls /proc/1/" + dir + "/"); status == 0 || !strings.Contains(out, "Permission denied") {
			t.Errorf("/proc/1/%s: status %d, %q", dir, status, out)
		}
	}
	s.prints(helper+" trespass 1", "ptrace: operation not permitted\nmemory: operation not permitted\ndescriptor: operation not permitted")

	// PID 1 does not hear SIGKILL and SIGSTOP from inside, and must not end of
	// any other, or the session's exit status would be lost.
	s.do("for n in $(kill -l | grep -o '[0-9]*)'); do kill -${n%)} 1; done")
	s.prints("echo still here", "still here")
	s.prints(helper+" hit 1", "nothing reaches it")
	s.prints("echo still here", "still here")
	s.typed("exit 7\r")
	s.ends(7)
}

// hit tries what ends or hinders another process without looking into it: signals with any
// origin, by any call, and limits. It tells what is allowed.
func hit(args []string) int {
	var pid int
	if _, err := fmt.Sscan(args[0], &pid); err != nil {
		fmt.Println(err)
		return 1
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	reached := 0
	told := func(what string, err error) {
		if err != unix.EPERM {
			fmt.Println(what, err)
			reached++
		}
	}
	for sig := 1; sig <= 64; sig++ {
		for _, code := range []int32{-1, -2, -3, -4, -5, -60} { // SI_QUEUE, SI_TIMER … (sigaction(2))
			info := make([]int32, 32)
			info[0], info[2] = int32(sig), code
			at := uintptr(unsafe.Pointer(&info[0]))
			_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), at)
			told(fmt.Sprintf("signal %d with code %d:", sig, code), errno)
			_, _, errno = unix.Syscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(pid), uintptr(pid), uintptr(sig), at, 0, 0)
			told(fmt.Sprintf("signal %d with code %d to a thread:", sig, code), errno)
			_, _, errno = unix.Syscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), uintptr(sig), at, 0, 0, 0)
			told(fmt.Sprintf("signal %d with code %d by a descriptor:", sig, code), errno)
		}
		told(fmt.Sprintf("signal %d:", sig), unix.Kill(pid, unix.Signal(sig)))
	}
	for limit := range 16 {
		told(fmt.Sprintf("limit %d:", limit), unix.Prlimit(pid, limit, &unix.Rlimit{}, nil))
	}
	// A signal that the kernel sends when there is something to read (fcntl(2)): nobody is told
	// that it was not sent, but the process would be gone.
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		fmt.Println(err)
		return 1
	}
	for sig := 1; sig <= 64; sig++ {
		_, _ = unix.FcntlInt(uintptr(p[0]), unix.F_SETSIG, sig)
		_, _ = unix.FcntlInt(uintptr(p[0]), unix.F_SETOWN, pid)
		if _, err := unix.FcntlInt(uintptr(p[0]), unix.F_SETFL, unix.O_ASYNC|unix.O_NONBLOCK); err != nil {
			fmt.Println(err)
			return 1
		}
		_, _ = unix.Write(p[1], []byte("x"))
	}
	if reached == 0 {
		fmt.Println("nothing reaches it")
	}
	return 0
}

// trespass tries to get into the process args[0].
func trespass(args []string) int {
	var pid int
	if _, err := fmt.Sscan(args[0], &pid); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ptrace:", unix.PtraceSeize(pid))
	buf := make([]byte, 1)
	local := []unix.Iovec{{Base: &buf[0], Len: 1}}
	_, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: 0x400000, Len: 1}}, 0)
	fmt.Println("memory:", err)
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		_, err = unix.PidfdGetfd(pidfd, 0, 0)
	}
	fmt.Println("descriptor:", err)
	return 0
}

// Descriptors of launcher or stage would be a way out of the session.
func TestProgramHasItsTerminalAndNoOtherDescriptor(t *testing.T) {
	begin(t)
	const want = "0\n1\n2\n3" // 3 is the directory that ls reads
	if got := output(t, as(t, "operator"), "aaau", "-p", "ls -1 /proc/self/fd"); got != want {
		t.Errorf("a program has descriptors %q", got)
	}
	s := openShell(t, as(t, "operator"))
	s.prints("ls -1 /proc/self/fd", want)
	s.prints("for n in 0 1 2; do readlink /proc/$$/fd/$n; done; tty", strings.TrimSpace(strings.Repeat("/dev/pts/0\n", 4)))
	s.close()
}

func TestAgentCannotConnect(t *testing.T) {
	begin(t)
	got := output(t, as(t, "operator"), "aaau", "-p", helper+" dial /run/aaau/server.sock /run/aaau/launcher.sock")
	if want := "permission denied\npermission denied"; got != want {
		t.Errorf("from inside a session, the two sockets answer %q", got)
	}
}

// dial says for each socket why it could not connect.
func dial(sockets []string) int {
	for _, name := range sockets {
		_, err := net.Dial("unix", name)
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			err = errno
		}
		fmt.Println(err)
	}
	return 0
}
