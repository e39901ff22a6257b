package system

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// evilRequest is one thing that a bridge gone bad might ask of the launcher.
type evilRequest struct {
	name   string
	packet string
	fds    func() ([]int, error)
}

// clientFD is where an evil bridge has the connection of a client.
const clientFD = 3

// honest is what a good bridge would ask for a client.
const honest = `{"start":{"profile":"shell","argv":["/bin/sh"],"rows":24,"cols":80}}`

// withClient hands over the client, once or more often.
func withClient(times int) func() ([]int, error) {
	return func() (fds []int, err error) {
		for range times {
			fds = append(fds, clientFD)
		}
		return fds, nil
	}
}

func opened(name string, flags int) func() ([]int, error) {
	return func() ([]int, error) {
		fd, err := unix.Open(name, flags, 0)
		return []int{fd}, err
	}
}

// connected is the evil bridge's own connection to somebody's socket.
func connected(name string) func() ([]int, error) {
	return func() ([]int, error) {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return nil, err
		}
		return []int{fd}, unix.Connect(fd, &unix.SockaddrUnix{Name: name})
	}
}

func socketpair() ([]int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	return pair[:1], err
}

// pairName is where boundPair has a socket.
const pairName = "/tmp/evil-pair"

// boundPair is a socketpair with a name, as an accepted connection has one.
func boundPair() ([]int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	return pair[:1], unix.Bind(pair[0], &unix.SockaddrUnix{Name: pairName})
}

func pipeEnd() ([]int, error) {
	var p [2]int
	err := unix.Pipe(p[:])
	return p[:1], err
}

// anyHash has the form of one.
var anyHash = strings.Repeat("a", 64)

func nothing() ([]int, error) { return nil, nil }

// evilRequests are to be refused, all of them. Those that go with a client have a
// real one, who is there: they are refused for what they ask.
var evilRequests = []evilRequest{
	{"no descriptor", honest, nothing},
	{"a socketpair", honest, socketpair},
	{"a socketpair with a name", honest, boundPair},
	{"a connection it made to the journal", honest, connected("/run/systemd/journal/stdout")},
	{"a regular file", honest, opened("/etc/passwd", unix.O_RDONLY)},
	{"a directory", honest, opened("/", unix.O_RDONLY)},
	{"the socket's file itself", honest, opened(serverSocket, unix.O_PATH)},
	{"a pipe", honest, pipeEnd},
	{"two descriptors", honest, withClient(2)},
	{"a hundred descriptors", honest, withClient(100)},

	{"a uid", `{"start":{"profile":"shell","rows":24,"cols":80,"uid":0}}`, withClient(1)},
	{"an owner", `{"start":{"profile":"shell","rows":24,"cols":80},"owner":"root"}`, withClient(1)},
	{"an environment", `{"start":{"profile":"shell","rows":24,"cols":80,"env":["LD_PRELOAD=x"]}}`, withClient(1)},
	{"a person as the agent", `{"start":{"profile":"shell","user":"operator","rows":24,"cols":80}}`, withClient(1)},
	{"root as the agent", `{"start":{"profile":"shell","user":"root","rows":24,"cols":80}}`, withClient(1)},
	{"the bridge as the agent", `{"start":{"profile":"shell","user":"aaau-bridge","rows":24,"cols":80}}`, withClient(1)},
	{"nobody as the agent", `{"start":{"profile":"shell","user":"nobody","rows":24,"cols":80}}`, withClient(1)},
	{"a uid as the agent", `{"start":{"profile":"shell","user":"0","rows":24,"cols":80}}`, withClient(1)},
	{"a profile that leads away", `{"start":{"profile":"../../../tmp/evil","rows":24,"cols":80}}`, withClient(1)},
	{"a profile with a slash", `{"start":{"profile":"/tmp/evil","rows":24,"cols":80}}`, withClient(1)},
	{"no profile", `{"start":{"rows":24,"cols":80}}`, withClient(1)},
	{"another program for claude", `{"start":{"profile":"claude","argv":["/bin/sh"],"rows":24,"cols":80}}`, withClient(1)},
	{"a NUL in the program", `{"start":{"profile":"shell","argv":["sh\u0000x"],"rows":24,"cols":80}}`, withClient(1)},
	{"too many rows", `{"start":{"profile":"shell","rows":70000,"cols":80}}`, withClient(1)},

	{"200 kB", `{"start":{"profile":"shell","argv":["` + strings.Repeat("x", 200_000) + `"],"rows":24,"cols":80}}`, withClient(1)},
	{"2 MB", `{"start":{"profile":"shell","argv":["` + strings.Repeat("x", 2_000_000) + `"],"rows":24,"cols":80}}`, withClient(1)},
	{"a deep nest", strings.Repeat("[", 30_000), withClient(1)},
	{"garbage", "\x00\xff\x1b[2J\r\n", withClient(1)},
	{"an empty object", `{}`, withClient(1)},
	{"null", `null`, withClient(1)},
	{"two requests at once", honest + honest, withClient(1)},
	{"half a request", honest[:20], withClient(1)},

	{"kill with a descriptor", `{"kill":{"name":"aaau-shell-aaaaaaaaaa.scope"}}`, withClient(1)},
	{"start and kill", `{"start":{"profile":"shell","rows":24,"cols":80},"kill":{"name":"aaau-shell-aaaaaaaaaa.scope"}}`, withClient(1)},
	{"kill another's service", `{"kill":{"name":"ssh.service"}}`, nothing},
	{"kill everything", `{"kill":{"name":"-.slice"}}`, nothing},
	{"kill the bridge", `{"kill":{"name":"aaau.service"}}`, nothing},
	{"kill all agents", `{"kill":{"name":"aaau.slice"}}`, nothing},
	{"kill by a pattern", `{"kill":{"name":"aaau-shell-*.scope"}}`, nothing},
	{"kill what is not there", `{"kill":{"name":"aaau-shell-aaaaaaaaaa.scope"}}`, nothing},
	{"kill nothing", `{"kill":{"name":""}}`, nothing},
	{"a signal that there is not", `{"kill":{"name":"aaau-shell-aaaaaaaaaa.scope","signal":65}}`, nothing},
	{"stop instead", `{"stop":{"name":"aaau-shell-aaaaaaaaaa.scope"}}`, nothing},

	{"put with a client", `{"put":{"name":"a","uid":1,"gid":1}}`, withClient(2)},
	{"put nothing", `{"put":{"name":"a","uid":1,"gid":1}}`, nothing},
	{"anchor with a client", `{"anchor":{"heads":[{"chain":"s1","seq":1,"hash":"` + anyHash + `"}]}}`, withClient(1)},
	{"anchor nothing", `{"anchor":{"heads":[]}}`, nothing},
	{"anchor 257 chains", `{"anchor":{"heads":[` + strings.Repeat(`{"chain":"s1","seq":1,"hash":"`+anyHash+`"},`, 256) + `{"chain":"s1","seq":1,"hash":"` + anyHash + `"}]}}`, nothing},
	{"anchor a name that leads away", `{"anchor":{"heads":[{"chain":"../s1","seq":1,"hash":"` + anyHash + `"}]}}`, nothing},
	{"anchor two lines", `{"anchor":{"heads":[{"chain":"s1\n{}","seq":1,"hash":"` + anyHash + `"}]}}`, nothing},
	{"anchor a negative number", `{"anchor":{"heads":[{"chain":"s1","seq":-1,"hash":"` + anyHash + `"}]}}`, nothing},
	{"anchor record 0", `{"anchor":{"heads":[{"chain":"s1","seq":0,"hash":"` + anyHash + `"}]}}`, nothing},
	{"anchor no hash", `{"anchor":{"heads":[{"chain":"s1","seq":1,"hash":""}]}}`, nothing},
	{"anchor with a time", `{"anchor":{"heads":[{"chain":"s1","seq":1,"hash":"` + anyHash + `","time":"2020-01-01T00:00:00Z"}]}}`, nothing},

	{"put with one descriptor", `{"put":{"name":"a","uid":1,"gid":1}}`, withClient(1)},
}

// beEvil is the evil bridge: it asks one thing of the launcher, and prints what
// came of it. "honest" asks for what a client might.
func beEvil(args []string) int {
	switch args[0] {
	case "honest":
		ask(honest, []int{clientFD})
		return 0
	case "mark": // a program that would leave a mark
		ask(`{"start":{"profile":"shell","argv":["touch","/var/lib/aaau/agent/ran"],"rows":24,"cols":80}}`, []int{clientFD})
		return 0
	case "replay":
		return replay()
	case "lure":
		return lure(args[1])
	}
	for _, r := range evilRequests {
		if r.name != args[0] {
			continue
		}
		fds, err := r.fds()
		if err != nil {
			fmt.Println("not even possible:", err)
			return 1
		}
		ask(r.packet, fds)
		return 0
	}
	fmt.Println("no such request")
	return 1
}

// ask sends a packet to the launcher and prints the answer: granted, refused,
// or dropped.
func ask(packet string, fds []int) (c *net.UnixConn, got []int) {
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: launcherSocket, Net: "unixpacket"})
	if err != nil {
		fmt.Println("dropped:", err)
		return nil, nil
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix([]byte(packet), oob, nil)
	if errors.Is(err, syscall.EMSGSIZE) {
		fmt.Println("refused: by the kernel:", err)
		c.Close()
		return nil, nil
	}
	var reply privsep.Reply
	got, err = privsep.Receive(c, &reply, privsep.MaxFDs)
	switch {
	case err != nil:
		fmt.Println("dropped:", err)
	case reply.Error != nil:
		fmt.Printf("refused: %s: %s\n", reply.Error.Code, reply.Error.Message)
	case reply.Session != nil:
		fmt.Println("granted:", reply.Session.ID)
	default:
		fmt.Println("granted")
	}
	return c, got
}

// replay starts a session for the client, as is right; then, each time that it is
// told to, another with the same connection.
func replay() int {
	c, fds := ask(honest, []int{clientFD})
	if len(fds) != (privsep.Session{}).FDs() {
		return 1
	}
	if err := privsep.Send(c, privsep.Go{Go: true}); err != nil {
		fmt.Println(err)
		return 1
	}
	var status privsep.Status
	if err := json.NewDecoder(os.NewFile(uintptr(fds[2]), "status")).Decode(&status); err != nil || !status.Started {
		fmt.Println("not started:", status, err)
		return 1
	}
	for told := bufio.NewScanner(os.Stdin); told.Scan(); {
		if told.Text() == "end it" {
			privsep.Close(fds...)
			fmt.Println("ended")
			continue
		}
		ask(honest, []int{clientFD})
	}
	return 0
}

// lure listens at a place of its own, and hands over whoever comes there.
func lure(name string) int {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err == nil {
		err = os.Chmod(name, 0o666)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listening")
	c, err := ln.AcceptUnix()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	f, err := c.File()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ask(honest, []int{int(f.Fd())})
	return 0
}

// connectAndStay is a client that says nothing, and is there until its input ends.
func connectAndStay(args []string) int {
	c, err := net.Dial("unix", args[0])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer c.Close()
	fmt.Println("connected")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	return 0
}
