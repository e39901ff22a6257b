package system

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// hostileOpen is what a client of one's own making may send: descriptors beside an
// Open.
func init() { programs["open"] = hostileOpen }

var hostileDescriptors = map[string]func() ([]int, error){
	"a file":                 opened("/etc/passwd", unix.O_RDONLY),
	"a device":               opened("/dev/null", unix.O_RDWR),
	"/proc":                  opened("/proc", unix.O_RDONLY|unix.O_DIRECTORY),
	"a process":              opened("/proc/self", unix.O_RDONLY|unix.O_DIRECTORY),
	"own descriptors":        opened("/proc/self/fd", unix.O_RDONLY|unix.O_DIRECTORY),
	"/sys":                   opened("/sys", unix.O_RDONLY|unix.O_DIRECTORY),
	"the root":               opened("/", unix.O_RDONLY|unix.O_DIRECTORY),
	"/etc":                   opened("/etc", unix.O_RDONLY|unix.O_DIRECTORY),
	"another's tree":         opened("/srv/hostile/observers", unix.O_RDONLY|unix.O_DIRECTORY),
	"another's tree, O_PATH": opened("/srv/hostile/observers", unix.O_PATH|unix.O_DIRECTORY),
	"O_PATH":                 opened("/home/operator/hostile", unix.O_PATH|unix.O_DIRECTORY),
	"O_PATH of a link":       opened("/home/operator/hostile/link", unix.O_PATH|unix.O_NOFOLLOW),
	"a closed home, O_PATH":  opened("/home/observer", unix.O_PATH|unix.O_DIRECTORY),
	"root's, O_PATH":         opened("/root", unix.O_PATH|unix.O_DIRECTORY),
	"on overlayfs":           opened("/opt/hostile", unix.O_RDONLY|unix.O_DIRECTORY),
	"a pipe":                 pipeEnd,
	"a socket":               socketpair,
	"itself":                 connected(serverSocket),
	"none":                   nothing,
	"two": func() ([]int, error) {
		fd, err := unix.Open("/home/operator/hostile", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		return []int{fd, fd}, err
	},
	"many": func() (fds []int, err error) {
		fd, err := unix.Open("/home/operator/hostile", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		for range 200 {
			fds = append(fds, fd)
		}
		return fds, err
	},
	"a deleted directory": func() ([]int, error) {
		const dir = "/home/operator/hostile/deleted"
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = os.Remove(dir)
		}
		return []int{fd}, err
	},
	"a deleted directory in whose place another's is": func() ([]int, error) {
		const dir = "/home/operator/hostile/replaced"
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = os.Remove(dir)
		}
		if err == nil {
			err = os.Symlink("/srv/hostile/observers", dir)
		}
		return []int{fd}, err
	},
	"a deleted directory with a namesake": func() ([]int, error) { // the kernel calls them the same
		const dir = "/home/operator/hostile/gone"
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(dir+" (deleted)", 0o755)); err != nil {
			return nil, err
		}
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err == nil {
			err = os.Remove(dir)
		}
		return []int{fd}, err
	},
	"a detached mount": func() ([]int, error) {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/home/operator/hostile", unix.OPEN_TREE_CLONE)
		if err != nil { // it takes privileges, or a user namespace
			fd, err = unix.MemfdCreate("x", 0)
		}
		return []int{fd}, err
	},
	"a good one": opened("/home/operator/hostile", unix.O_RDONLY|unix.O_DIRECTORY),
}

// hostileOpen sends an Open for one directory with the descriptors of that name,
// and prints what comes.
func hostileOpen(args []string) int {
	fds, err := hostileDescriptors[args[0]]()
	if err != nil {
		fmt.Println("not even possible:", err)
		return 1
	}
	c, err := net.Dial("unix", serverSocket)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	open := `{"argv":["cat","/home/operator/hostile/file"],"rows":24,"cols":80,"piped":true,"dirs":[{}]}`
	if len(args) > 1 {
		open = args[1]
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := c.(*net.UnixConn).WriteMsgUnix(append(wire.Hello(), wire.Frame(wire.Open, []byte(open))...), oob, nil); err != nil {
		fmt.Println(err)
		return 1
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 1
	}
	r := wire.NewReader(c)
	_, err = r.Hello()
	for err == nil {
		kind, payload, next := wire.Type(0), []byte(nil), error(nil)
		if kind, payload, next = r.Next(); next == nil {
			fmt.Printf("%#x %q\n", byte(kind), payload)
			if kind == wire.Ended || kind == wire.Error {
				return 0
			}
		}
		err = next
	}
	fmt.Println("dropped:", err)
	return 0
}

func TestHostileDescriptors(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "hostile")
	sh(t, operator, dir, "echo good >file; ln -s /srv/hostile/observers link")
	srv := tmpfs(t, "/srv/hostile", "mode=755")
	sh(t, as(t, "root"), srv, "install -d -o observer observers /opt/hostile; chown operator /opt/hostile; echo theirs >observers/file")
	t.Cleanup(func() { os.RemoveAll("/opt/hostile") })
	if got := output(t, operator, helper, "open", "a good one"); !strings.Contains(got, "good\\r\\n") {
		t.Errorf("a good directory: %s", got)
	}
	bridge, launcher := mainPID(t, "aaau.service"), mainPID(t, "aaau-launcher.service")
	before := descriptors(t, "aaau.service") + descriptors(t, "aaau-launcher.service")
	for name := range hostileDescriptors {
		if name == "a good one" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got := output(t, operator, helper, "open", name)
			// An Error frame, and never the program's output.
			if !strings.Contains(got, "0x44 ") && !strings.Contains(got, "dropped: ") || strings.Contains(got, "0x41 ") {
				t.Errorf("the answer is %s", got)
			}
		})
	}
	for name, open := range map[string]string{
		"no dirs for it":       `{"argv":["true"],"rows":24,"cols":80}`,
		"two dirs for one":     `{"argv":["true"],"rows":24,"cols":80,"dirs":[{},{}]}`,
		"joining with one":     `{"attach":"aaaaaaaaaa","rows":24,"cols":80,"dirs":[{}]}`,
		"a lock that leads up": `{"argv":["true"],"rows":24,"cols":80,"dirs":[{"lock":["../../observer"]}]}`,
		"a lock of the root's": `{"argv":["true"],"rows":24,"cols":80,"dirs":[{"lock":["/etc/shadow"]}]}`,
		"a cwd with a NUL":     `{"argv":["true"],"rows":24,"cols":80,"dirs":[{}],"cwd":"/home\u0000x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := output(t, operator, helper, "open", "a good one", open); !strings.Contains(got, "0x44 ") {
				t.Errorf("the answer is %s", got)
			}
		})
	}
	t.Run("a path of its own", func(t *testing.T) { // is not heard
		got := output(t, operator, helper, "open", "a good one", `{"argv":["sh","-c","ls /etc/passwd; cat /home/operator/hostile/file"],"rows":24,"cols":80,"dirs":[{"path":"/etc"}]}`)
		if !strings.Contains(got, "good\\r") || strings.Contains(got, `[{\"path\":\"/etc`) {
			t.Errorf("the answer is %s", got)
		}
	})
	output(t, operator, helper, "open", "a good one")
	if a, b := mainPID(t, "aaau.service"), mainPID(t, "aaau-launcher.service"); a != bridge || b != launcher {
		t.Errorf("the services were %d and %d, and are %d and %d", bridge, launcher, a, b)
	}
	if !eventually(func() bool {
		return descriptors(t, "aaau.service")+descriptors(t, "aaau-launcher.service") <= before
	}) {
		t.Errorf("descriptors leak: %d, and now %d", before, descriptors(t, "aaau.service")+descriptors(t, "aaau-launcher.service"))
	}
}

// The bridge can open what everybody can, and name what it cannot: a client's
// connection must not make it good.
func TestEvilBridgeWithForeignDirectories(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	operator := as(t, "operator")
	srv := tmpfs(t, "/srv/hostile", "mode=755")
	sh(t, as(t, "root"), srv, "install -d -o observer observers; install -d -o operator -m 700 closed; install -d -o aaau-bridge bridges; install -d -o agent agents")
	conn, _ := visit(t, fakeBridge(t), operator)
	for name, test := range map[string]struct {
		dir   string
		flags int
	}{
		"root's":                  {"/etc", unix.O_RDONLY},
		"the root":                {"/", unix.O_RDONLY},
		"observer's":              {srv + "/observers", unix.O_RDONLY},
		"its own":                 {srv + "/bridges", unix.O_RDONLY},
		"an agent's":              {srv + "/agents", unix.O_RDONLY},
		"the client's, unopened":  {srv + "/closed", unix.O_PATH},
		"the client's whole home": {"/home/operator", unix.O_PATH},
		"/proc":                   {"/proc", unix.O_RDONLY},
		"another client's home":   {"/home/observer", unix.O_PATH},
	} {
		t.Run(name, func(t *testing.T) {
			since := journalNow(t)
			refusedByLauncher(t, since, evil, start(t, evil, []*os.File{conn}, "evil-dir", test.dir, fmt.Sprint(test.flags)).line())
		})
	}
}

func init() { programs["evil-dir"] = evilDirectory }

// evilDirectory is an evil bridge that adds a directory to an honest request.
func evilDirectory(args []string) int {
	var flags int
	if _, err := fmt.Sscan(args[1], &flags); err != nil {
		return 1
	}
	fd, err := unix.Open(args[0], flags|unix.O_DIRECTORY, 0)
	if err != nil {
		fmt.Println("not even possible:", err)
		return 1
	}
	ask(`{"start":{"profile":"shell","argv":["/bin/sh"],"rows":24,"cols":80,"dirs":[{}]}}`, []int{clientFD, fd})
	return 0
}
