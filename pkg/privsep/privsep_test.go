package privsep

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// pair is a real pair of packet sockets.
func pair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return conns[0], conns[1]
}

func openFDs(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

func TestRequestWithDescriptor(t *testing.T) {
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := Send(a, Request{Start: &Start{Session: spec.Session{Profile: "shell", Size: spec.Size{Rows: 24}}}}, int(w.Fd())); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var req Request
	fds, err := Receive(b, &req, 1)
	if err != nil || len(fds) != 1 || req.Start == nil || req.Start.Rows != 24 {
		t.Fatalf("%+v %v %v", req, fds, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor would be inherited: %v %v", flags, err)
	}
	Close(fds...) // the last write end: the reader sees the end
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v", err)
	}
}

// Whatever a bad bridge sends, nothing of it stays open here.
func TestReceiveRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		fds  int
		want string
	}{
		"unknown field":     {`{"start":{"profile":"shell","uid":0}}`, 1, "unknown field"},
		"not JSON":          {"\x00\x01", 1, "invalid character"},
		"two values":        {`{"start":{"profile":"shell"}} {}`, 1, "more than one"},
		"two descriptors":   {`{}`, 2, "2 descriptors"},
		"fifty descriptors": {`{}`, 50, "too many descriptors"},
		"too long":          {`{"kill":{"scope":"` + strings.Repeat("x", MaxMessage) + `"}}`, 1, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			before := openFDs(t)
			var fds []int
			for range c.fds {
				fds = append(fds, int(null.Fd()))
			}
			if _, _, err := a.WriteMsgUnix([]byte(c.data), unix.UnixRights(fds...), nil); err != nil {
				t.Fatal(err)
			}
			var req Request
			_, err = Receive(b, &req, 1)
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if after := openFDs(t); after != before {
				t.Errorf("%d descriptors open before, %d after", before, after)
			}
		})
	}
}

func TestEndOfStream(t *testing.T) {
	a, b := pair(t)
	a.Close()
	if _, err := Receive(b, &Request{}, 1); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}

func TestSendTooMuch(t *testing.T) {
	a, _ := pair(t)
	if err := Send(a, Request{Start: &Start{Session: spec.Session{Argv: []string{strings.Repeat("x", MaxMessage)}}}}); !errors.Is(err, ErrMalformed) {
		t.Errorf("%v", err)
	}
}

// As many anchors as there may be fit into a message, however long they are.
func TestAnchorBounds(t *testing.T) {
	longest := anchor.Head{Chain: strings.Repeat("x", 64), Seq: 1<<64 - 1, Hash: strings.Repeat("f", 64), Final: true}
	all := Anchor{slices.Repeat([]anchor.Head{longest}, anchor.MaxHeads)}
	if err := all.Check(); err != nil {
		t.Error(err)
	}
	if _, _, err := encode(Request{Anchor: &all}, nil); err != nil {
		t.Error(err)
	}
	for name, a := range map[string]Anchor{
		"none":       {},
		"one more":   {append(all.Heads, longest)},
		"a bad last": {[]anchor.Head{longest, {Chain: "x", Seq: 1}}},
	} {
		if a.Check() == nil {
			t.Errorf("%s will do", name)
		}
	}
}

// FuzzDecode: what is taken for a request says the same when it is sent on.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"start":{"profile":"shell","rows":24,"cols":80}}`))
	f.Add([]byte(`{"kill":{"scope":"aaau-shell-0.scope"}}`))
	f.Add([]byte(`{"anchor":{"heads":[{"chain":"s1","seq":1,"hash":"00","final":true}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var req, again Request
		if decode(b, &req) != nil {
			return
		}
		first, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := decode(first, &again); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, err := json.Marshal(again); err != nil || string(first) != string(second) {
			t.Errorf("%s became %s, %v", first, second, err)
		}
	})
}
