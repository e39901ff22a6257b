package audit

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// writeEnv names the directory that this process is to record to, if it is not to test.
const writeEnv = "AAAU_TEST_RECORD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writeEnv); dir != "" {
		fmt.Fprintln(os.Stderr, record(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// stream is what the program writes, over and over: text, sequences, and what is none.
var stream = func() []byte {
	rng := rand.New(rand.NewSource(11))
	var b []byte
	for len(b) < 1<<20 {
		switch rng.Intn(3) {
		case 0:
			p := make([]byte, rng.Intn(6000))
			rng.Read(p)
			b = append(b, p...)
		default:
			b = append(b, strings.Repeat("\x1b[32mtext\x1b[m 漢字 ", rng.Intn(600))...)
		}
	}
	return append(b, "whole"...)
}()

// record goes on with a session's record, as a bridge would.
func record(dir string) error {
	s, err := Open(dir, Options{SegmentSize: 300 << 10, SyncEvery: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	c, err := s.Session("s1", "agent", false)
	if err != nil {
		return err
	}
	if err := s.Tidy(func(string) bool { return true }); err != nil {
		return err
	}
	fmt.Println("ready")
	rng := rand.New(rand.NewSource(c.Recorded(Stdout)))
	for {
		at := int(c.Recorded(Stdout) % int64(len(stream)))
		if _, err := c.Output(Stdout, stream[at:min(len(stream), at+1+rng.Intn(40<<10))], false); err != nil {
			return err
		}
		if _, err := s.Bridge().Append(Record{Source: Human, User: "operator", Metadata: Denied{Person: who}}); err != nil {
			return err
		}
	}
}

// However often the process that records is killed, the record is what was written,
// without a gap, and its chains are whole.
func TestKilled(t *testing.T) {
	dir, rng := t.TempDir(), rand.New(rand.NewSource(time.Now().UnixNano()))
	for range 40 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writeEnv+"="+dir)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		ready := make([]byte, 5)
		if _, err := out.Read(ready); err != nil {
			_ = cmd.Wait()
			t.Fatalf("%v: %s", err, said.String())
		}
		time.Sleep(time.Duration(rng.Intn(15000)) * time.Microsecond)
		ok(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		if said.Len() > 0 {
			t.Fatal(said.String())
		}
	}
	s := open(t, dir, Options{now: time.Now})
	c := session(t, s, "s1")
	put(t, c, Stdout, "the end")
	ok(t, c.Finish())
	ok(t, s.Tidy(func(string) bool { return false }))
	s.work.Wait()
	ok(t, s.Close())
	got := raws(t, dir, "s1", Stdout)
	got, ended := strings.CutSuffix(got, "the end")
	for i := 0; i < len(got); i += len(stream) {
		if piece := got[i:min(len(got), i+len(stream))]; piece != string(stream[:len(piece)]) {
			t.Fatalf("the output is another, from somewhere behind byte %d", i)
		}
	}
	if !ended || len(got) == 0 {
		t.Errorf("%d bytes of output", len(got))
	}
	torn := 0
	for e, err := range Read(dir, "s1") {
		ok(t, err)
		if m, err := e.Decode(); err != nil {
			t.Error(err)
		} else if r, is := m.(*BridgeResume); is && r.Cut > 0 {
			torn++
		}
	}
	r := sound(t, dir, "s1")
	sound(t, dir, BridgeChain)
	t.Logf("%d bytes in %d records, %d torn lines", len(got), r.Records, torn)
}

// Who looks at a chain while it is compressed finds all of it.
func TestListWhileCompressed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	for i := range 300 {
		id := fmt.Sprintf("s%d", i)
		c := session(t, s, id)
		add(t, c, every()[0])
		ok(t, c.Finish())
		for range 20 {
			chains, err := list(dir, id)
			ok(t, err)
			if len(chains[id]) != 1 {
				t.Fatalf("%s has %d segments", id, len(chains[id]))
			}
		}
	}
	ok(t, s.Close())
}
