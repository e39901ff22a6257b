package bridgetest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/bridge"
	"github.com/AgentaaU/AaaU/pkg/bridge/bridgetest"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/privsep/privseptest"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// serve starts a server; its Close says if it has seen anything that was not right.
func serve(t *testing.T, change ...func(*bridge.Bridge)) (context.Context, *bridgetest.Server) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		for end := time.Now().Add(time.Minute); goleak.Find(before) != nil && time.Now().Before(end); { // they may take a while to end
		}
		goleak.VerifyNone(t, before)
	})
	s, err := bridgetest.New(change...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(func() {
		cancel()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Dir); err == nil {
			t.Errorf("%s is left", s.Dir)
		}
	})
	return ctx, s
}

func dial(t *testing.T, ctx context.Context, s *bridgetest.Server) *client.Conn {
	t.Helper()
	c, err := client.Dial(ctx, s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func open(t *testing.T, ctx context.Context, s *bridgetest.Server, req spec.Session) *client.Session {
	t.Helper()
	session, err := client.Open(ctx, s.Socket, wire.OpenRequest{Session: req})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

func TestPipes(t *testing.T) {
	ctx, s := serve(t)
	session := open(t, ctx, s, spec.Session{Argv: []string{"sh", "-c", "echo apart >&2; cat; exit 3"}, Pipes: true})
	if _, err := session.Write([]byte("one\n\x04\x00")); err != nil {
		t.Fatal(err)
	}
	if err := session.EndInput(); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	ended, err := session.Copy(client.Sink{Out: &out, Errors: &errs})
	if err != nil || out.String() != "one\n\x04\x00" || errs.String() != "apart\n" || ended.Code != 3 {
		t.Errorf("%q, %q, %+v, %v", out.String(), errs.String(), ended, err)
	}
}

// state is that of a process: S, T …
func state(t *testing.T, ctx context.Context, c *client.Conn, id, want string) {
	t.Helper()
	var got string
	for ctx.Err() == nil {
		screen, err := c.Peek(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		pid, _, _ := strings.Cut(screen.Text, "\n")
		stat, _ := os.ReadFile("/proc/" + strings.TrimSpace(pid) + "/stat")
		if f := strings.Fields(string(stat)); len(f) > 2 {
			if got = f[2]; got == want {
				return
			}
		}
	}
	t.Fatalf("the program's state is %s, not %s", got, want)
}

func TestFreezeThawKill(t *testing.T) {
	ctx, s := serve(t)
	c := dial(t, ctx, s)
	session := open(t, ctx, s, spec.Session{Argv: []string{"sh", "-c", "echo $$; read x; sleep 1000"}, Size: spec.Size{Rows: 24, Cols: 80}})
	state(t, ctx, c, session.ID, "S")
	if err := c.Freeze(ctx, session.ID); err != nil {
		t.Fatal(err)
	}
	state(t, ctx, c, session.ID, "T")
	if err := c.Thaw(ctx, session.ID); err != nil {
		t.Fatal(err)
	}
	state(t, ctx, c, session.ID, "S")
	if err := errors.Join(c.Freeze(ctx, session.ID), c.Kill(ctx, session.ID, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	if ended, err := c.Wait(ctx, session.ID); err != nil || ended.Signal != int(syscall.SIGKILL) {
		t.Errorf("%+v %v", ended, err)
	}
}

func TestPut(t *testing.T) {
	ctx, s := serve(t)
	session := open(t, ctx, s, spec.Session{Argv: []string{"sh", "-c", "read f; cat $f"}})
	fd, err := unix.MemfdCreate("put", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "put")
	defer file.Close()
	if _, err := file.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	c := dial(t, ctx, s)
	path, err := c.Put(ctx, session.ID, "a.txt", file)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(ctx, session.ID, []byte("\n")); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if _, err := session.Copy(client.Sink{Out: &out}); err != nil || out.String() != path+" \r\ntext" {
		t.Errorf("%q %v", out.String(), err)
	}
}

// A directory that goes along makes a session private, as it does anywhere.
func TestDirectory(t *testing.T) {
	ctx, s := serve(t)
	dir := t.TempDir()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	session, err := dial(t, ctx, s).Open(ctx, wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}, Dirs: []spec.Dir{{ReadOnly: true}}}}, f)
	if err != nil {
		t.Fatal(err)
	}
	if !session.Private || len(session.Dirs) != 1 || string(session.Dirs[0].Path) != dir || !session.Dirs[0].ReadOnly {
		t.Errorf("%+v", session.OpenReply)
	}
}

func TestOnRequest(t *testing.T) {
	ctx, s := serve(t)
	for _, c := range []struct {
		judged error
		code   string
	}{
		{privsep.Errorf("busy", "later"), "busy"},
		{errors.New("no"), "refused"},
		{privseptest.ErrSilent, "failed"},
	} {
		s.OnRequest(func(privsep.Request) error { return c.judged })
		_, err := client.Open(ctx, s.Socket, wire.OpenRequest{Session: spec.Session{Argv: []string{"true"}}})
		var note *wire.ErrorNote
		if !errors.As(err, &note) || note.Code != c.code {
			t.Errorf("%v: %v", c.judged, err)
		}
	}
	s.OnRequest(nil)
	open(t, ctx, s, spec.Session{}) // /bin/sh
}
