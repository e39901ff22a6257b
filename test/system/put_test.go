package system

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// memfd has a text, and seals.
func memfd(t *testing.T, text string, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		t.Fatal(err)
	}
	return fd
}

// mounts is a session's mount namespace.
func (h held) mounts() int {
	h.t.Helper()
	fd := -1
	raw, err := h.Mounts.SyscallConn()
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return fd
}

// A file that is put into a session is the agent's alone, whole, and where the answer
// says; nothing of the agent's is written over, and no link of its followed.
func TestPut(t *testing.T) {
	begin(t)
	h := hold(t, fakeBridge(t), "/bin/sh", "-c",
		`ln -s $HOME/treasure /tmp/link.txt; mkdir /tmp/taken; echo ready; while read f; do stat -c '%n %U %G %a %h' $f; sha256sum <$f; done`)
	h.out.expect("ready")
	put := func(name string, file int) privsep.Reply {
		return asked(t, privsep.Request{Put: &privsep.Put{Name: name, UID: h.UID, GID: h.GID}}, h.mounts(), file)
	}
	large := strings.Repeat("0123456789abcdef", spec.MaxFile/16)
	for _, c := range []struct{ name, text, want string }{
		{"shot.png", "a picture", "shot.png"},
		{"shot.png", "another", "shot-2.png"},
		{"link.txt", "no treasure", "link-2.txt"},
		{"taken", "", "taken-2"},
		{"large", large, "large"},
	} {
		reply := put(c.name, memfd(t, c.text, allSeals))
		if reply.Error != nil || reply.Path != "/tmp/"+c.want {
			t.Errorf("%s: %q %v", c.name, reply.Path, reply.Error)
			continue
		}
		h.write(reply.Path + "\n")
		h.out.expect(fmt.Sprintf("%s agent agent 600 1\n%x", reply.Path, sha256.Sum256([]byte(c.text))))
	}
	if _, err := os.Lstat(filepath.Join(homeFor(t, "operator"), "treasure")); err == nil {
		t.Error("it went where the agent's link leads")
	}
	if found, _ := filepath.Glob("/tmp/shot*"); len(found) > 0 {
		t.Errorf("it went onto the machine: %q", found)
	}
}

// What a bridge gone bad could offer instead of a file, or of a session.
func TestEvilPut(t *testing.T) {
	begin(t)
	h := hold(t, fakeBridge(t), "/bin/sh", "-c", "while read x; do ls -A /tmp; echo listed; done")
	opened := func(name string, flags int) int {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	good, ns := memfd(t, "text", allSeals), h.mounts()
	honest := privsep.Put{Name: "a", UID: h.UID, GID: h.GID}
	named := func(name string) privsep.Put { p := honest; p.Name = name; return p }
	operator := as(t, "operator")
	for name, c := range map[string]struct {
		put privsep.Put
		fds []int
	}{
		"a memfd without seals":       {honest, []int{ns, memfd(t, "text", 0)}},
		"a memfd that can be written": {honest, []int{ns, memfd(t, "text", allSeals&^unix.F_SEAL_WRITE)}},
		"a memfd that can grow":       {honest, []int{ns, memfd(t, "text", allSeals&^unix.F_SEAL_GROW)}},
		"a memfd too large":           {honest, []int{ns, memfd(t, strings.Repeat("x", spec.MaxFile+1), allSeals)}},
		"a FIFO":                      {honest, []int{ns, opened(fifo, unix.O_RDWR)}},
		"a file of root's":            {honest, []int{ns, opened("/etc/passwd", unix.O_RDONLY)}},
		"a device":                    {honest, []int{ns, opened("/dev/zero", unix.O_RDONLY)}},
		"a name only":                 {honest, []int{ns, opened(fmt.Sprintf("/proc/self/fd/%d", good), unix.O_PATH)}},
		"the wrong way round":         {honest, []int{good, ns}},
		"no file":                     {honest, []int{ns}},
		"two files":                   {honest, []int{ns, good, good}},
		"our own namespace":           {honest, []int{opened("/proc/self/ns/mnt", unix.O_RDONLY), good}},
		"another kind of namespace":   {honest, []int{opened(fmt.Sprintf("/proc/%d/ns/pid", h.PID), unix.O_RDONLY), good}},
		"no namespace":                {honest, []int{opened("/", unix.O_RDONLY), good}},
		"a person as the agent":       {privsep.Put{Name: "a", UID: operator.uid, GID: operator.gid}, []int{ns, good}},
		"root as the agent":           {privsep.Put{Name: "a"}, []int{ns, good}},
		"another group":               {privsep.Put{Name: "a", UID: h.UID, GID: groupID(t, "shadow")}, []int{ns, good}},
		"the bridge's own namespace":  {honest, []int{opened(fmt.Sprintf("/proc/%s/ns/mnt", privateService(t)), unix.O_RDONLY), good}},
		"root's group":                {privsep.Put{Name: "a", UID: h.UID}, []int{ns, good}},
		"no name":                     {named(""), []int{ns, good}},
		"a name with a slash":         {named("a/b"), []int{ns, good}},
		"a name that leads up":        {named("../a"), []int{ns, good}},
		"an absolute name":            {named("/etc/cron.d/a"), []int{ns, good}},
		"a hidden name":               {named(".a"), []int{ns, good}},
		"an option":                   {named("-a"), []int{ns, good}},
		"a name too long":             {named(strings.Repeat("a", spec.MaxFileName+1)), []int{ns, good}},
		"a newline":                   {named("a\nb"), []int{ns, good}},
	} {
		if reply := asked(t, privsep.Request{Put: &c.put}, c.fds...); reply.Error == nil || reply.Path != "" {
			t.Errorf("%s: granted %q", name, reply.Path)
		}
	}
	h.write("\n")
	h.out.expect("listed\n")
	if got := h.out.sofar(); got != "listed\n" {
		t.Errorf("in the session's /tmp there is %q", got)
	}
	if reply := asked(t, privsep.Request{Put: &honest}, ns, good); reply.Error != nil || reply.Path != "/tmp/a" {
		t.Errorf("an honest one: %+v", reply)
	}
}
