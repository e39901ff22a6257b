package stage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// guard reports whenever a lock of the view is gone: a mount goes with the file it
// is on when somebody outside replaces that (git does, with its configuration). The
// program has no way to do it.
func guard(mounts []privsep.Mount, exposed func() error) error {
	want := map[string]bool{}
	for _, m := range mounts {
		for _, l := range m.Lock {
			want[filepath.Join(string(m.Path), l)] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "mountinfo")
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	// Waiting is in the runtime's poller (see awaitNoReader), which itself uses up the
	// kernel's word that there was a change: so whatever wakes it, we look.
	wait := func(isLost bool) error {
		return raw.Read(func(uintptr) bool { return lost(want) == isLost })
	}
	go func() {
		defer f.Close()
		for {
			err := wait(true)
			if err == nil {
				err = exposed()
			}
			if err == nil {
				err = wait(false)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s: watching the locks: %v\n", Name, err)
				os.Exit(1)
			}
		}
	}()
	return nil
}

// lost says whether any of these is not a mount point.
func lost(want map[string]bool) bool {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return true
	}
	seen := map[string]bool{}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if at := unescape(fields[4]); want[at] {
			seen[at] = true
		}
	}
	return len(seen) < len(want)
}

// unescape undoes what the kernel does to blanks and the like in names: \040.
func unescape(b []byte) string {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+4]), 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, b[i])
	}
	return string(out)
}
