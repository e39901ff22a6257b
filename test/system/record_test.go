package system

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// recordDir is where the record is.
const recordDir = "/var/log/aaau"

// recorded is what a session's record says of one kind, in order.
func recorded(t *testing.T, id string, kind audit.Kind) (all []string) {
	t.Helper()
	for e, err := range audit.Read(recordDir, id) {
		if bad := (*audit.BadLine)(nil); errors.As(err, &bad) && bad.Torn {
			continue // it is being written
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == kind {
			text, err := e.Text()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
	}
	return all
}

// metadata is that of all records of a session.
func metadata(t *testing.T, id string) (all []audit.Metadata) {
	t.Helper()
	for e, err := range audit.Read(recordDir, id) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, decoded(t, e))
	}
	return all
}

func decoded(t *testing.T, e *audit.Entry) audit.Metadata {
	t.Helper()
	m, err := e.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// verified says that a session's chain is whole, and ended.
func verified(t *testing.T, id string) {
	t.Helper()
	r, err := audit.Verify(recordDir, id, nil, nil)
	if err != nil || r.Problem != nil || !r.Ended {
		t.Errorf("the record of %s: %+v, %v", id, r, err)
	}
}

// compressed is the file that a session's record is in when it has ended.
func compressed(t *testing.T, id string) (file string) {
	t.Helper()
	await(t, "the record is compressed", func() bool {
		files, err := audit.Files(recordDir, id)
		if err != nil || len(files) != 1 || !strings.HasSuffix(files[0], ".zst") {
			return false
		}
		file = filepath.Join(recordDir, files[0])
		_, err = os.Stat(strings.TrimSuffix(file, ".zst"))
		return err != nil
	})
	return file
}

// printed is the sum and the length of all that a session's record says it printed.
func printed(t *testing.T, id string, stream audit.Stream) (sum [sha256.Size]byte, n int64) {
	t.Helper()
	h := sha256.New()
	count := &counter{to: h}
	if err := audit.Raw(count, audit.Read(recordDir, id), stream); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil)), count.n
}

type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.to.Write(p)
}

// All that a program prints is in the record, byte for byte, with who was there and what
// they typed.
func TestRecord(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	script := `stty raw -echo; yes 'some lines of text' | head -c 200000000; head -c 3000000 /dev/urandom; printf '\030\033c\346\274\264 done'; read -rn1 x`
	s := sit(t, operator, "sh", "-c", "aaau -t -- bash -c "+quote(script)+" | tee out | tail -c 20; echo; sha256sum < out")
	await(t, "the session", func() bool { return len(parsed[[]object](t, operator, "aaau", "list", "--json")) > 0 })
	id := newest(t)
	peek(t, id, "done")
	s.typed("x")
	m := s.match(`([0-9a-f]{64})  -`)
	s.ends(0)
	sum, n := printed(t, id, audit.Stdout)
	if got := fmt.Sprintf("%x", sum); got != m[2] {
		t.Errorf("%d bytes with the sum %s are recorded, not %s", n, got, m[2])
	}
	verified(t, id)
	if got := recorded(t, id, audit.KindInput); strings.Join(got, "") != "x" {
		t.Errorf("input is recorded as %q", got)
	}
	for _, kind := range []audit.Kind{audit.KindSessionStart, audit.KindAttach, audit.KindSessionEnd} {
		if got := recorded(t, id, kind); len(got) != 1 {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

// quote makes a word of a shell's.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// newest is the session that started last.
func newest(t *testing.T) string {
	t.Helper()
	sessions := parsed[[]object](t, as(t, "root"), "aaau", "list", "--json")
	id, began := "", 0.0
	for _, s := range sessions {
		if at := s["began"].(float64); at > began {
			id, began = s["id"].(string), at
		}
	}
	if id == "" {
		t.Fatal("there is no session")
	}
	return id
}

// A profile says what becomes of its sessions when the record cannot be written, and
// whether what is typed is in it.
func TestRecordingByProfile(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	for name, text := range map[string]string{
		"killed": "on-record-failure=kill", "going": "on-record-failure=continue", "untyped": "record-input=none",
	} {
		addAlias(t, name, "program=bash\nany-program=yes\n"+text+"\n")
	}
	s := openShell(t, operator, "untyped")
	s.prints("echo not $((6*7)) to be seen", "not 42 to be seen")
	if said := strings.Join(strings.Fields(plain(s.all())), " "); !strings.Contains(said, "recorded: output, how much is typed;") {
		t.Errorf("they are told %q", said)
	}
	s.close()
	if got := strings.Join(recorded(t, s.id, audit.KindInput), ""); got != "" {
		t.Errorf("input is recorded as %q", got)
	}
	onDisk(t, "60M", "record-reserve=20M\n") // which has room for what is on two tapes
	killed := output(t, operator, "aaau", "start", "killed", "-c", "read x; cat /dev/urandom")
	going := output(t, operator, "aaau", "start", "going", "-c", "read x; head -c 60000000 /dev/urandom; clear; echo done; read x; exit 3")
	for _, id := range []string{going, killed} { // both are there before there is no room
		output(t, operator, "aaau", "send", id, "--enter", "go")
	}
	if r := run(t, operator, "aaau", "wait", killed); r.status != 137 {
		t.Errorf("%+v", r)
	}
	peek(t, going, "done")
	output(t, as(t, "root"), "mount", "-o", "remount,size=3G", recordDir)
	output(t, operator, "aaau", "send", going, "--enter", "go")
	if r := run(t, operator, "aaau", "wait", going); r.status != 3 {
		t.Errorf("%+v", r)
	}
	verified(t, going)
}

// Only who is in aaau-audit reads the record: all of it, whichever bridge wrote it, and
// none of the people whose doing it is.
func TestRecordIsForAuditors(t *testing.T) {
	begin(t)
	root, operator := as(t, "root"), as(t, "operator")
	for _, group := range []string{"aaau-audit", "systemd-journal"} {
		output(t, root, "usermod", "-aG", group, "outsider")
		t.Cleanup(func() { run(t, root, "gpasswd", "-d", "outsider", group) })
	}
	auditor, bridge := as(t, "outsider"), as(t, "aaau-bridge")
	session := func(socket string) string {
		t.Helper()
		id := output(t, operator, "aaau", "-s", socket, "start", "--", "sh", "-c", "echo what it printed; read x")
		output(t, operator, "aaau", "-s", socket, "send", id, "--enter", "x")
		output(t, operator, "aaau", "-s", socket, "wait", id)
		compressed(t, id)
		return id
	}
	check := func(when string, ids ...string) {
		t.Helper()
		err := filepath.Walk(recordDir, func(path string, fi os.FileInfo, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // compressed meanwhile
			}
			if err != nil {
				return err
			}
			st, mode := fi.Sys().(*syscall.Stat_t), fi.Mode().Perm()
			if st.Uid != bridge.uid || st.Gid != group(t, "aaau-audit") || mode != 0o640 && !(fi.IsDir() && mode == 0o750) {
				t.Errorf("%s: %s is %v, of %d:%d", when, path, fi.Mode(), st.Uid, st.Gid)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if fi, err := os.Stat(recordDir); err != nil || fi.Mode() != os.ModeDir|os.ModeSetgid|0o750 {
			t.Errorf("%s: %s is %v, %v", when, recordDir, fi.Mode(), err)
		}
		for _, id := range ids {
			file := compressed(t, id)
			if got := output(t, auditor, "sh", "-c", "ls -R "+recordDir+"; cmp "+file+" "+file+"; cat "+recordDir+"/aaau-*.jsonl"); !strings.Contains(got, filepath.Base(file)) || !strings.Contains(got, "bridge_start") {
				t.Errorf("%s: an auditor reads %q", when, got)
			}
			verify := func() result { return run(t, auditor, "/usr/sbin/aaau-server", "audit", "verify", id) }
			await(t, "an anchor", func() bool { return !strings.Contains(verify().stdout, "no anchor vouches for any") })
			if r := verify(); r.status != 0 || r.stderr != "" || !strings.Contains(r.stdout, id+": ok, ") {
				t.Errorf("%s: an auditor verifies: %+v", when, r)
			}
			for _, who := range []string{"operator", "observer", "agent"} {
				for _, does := range []string{"ls " + recordDir, "ls " + recordDir + "/sessions", "cat " + file, "cat " + recordDir + "/.lock"} {
					if r := run(t, as(t, who), "sh", "-c", does); r.status == 0 {
						t.Errorf("%s: %s: %s: %q", when, who, does, r.stdout)
					}
				}
			}
		}
		for _, does := range []string{": >>" + recordDir + "/.lock", ": >" + recordDir + "/new", "rm -rf " + recordDir + "/sessions/*", "chmod 777 " + recordDir} {
			if r := run(t, auditor, "sh", "-c", does); r.status == 0 {
				t.Errorf("%s: an auditor can %s", when, does)
			}
		}
	}
	check("as it is", session(serverSocket))

	const byItself = "/run/x.sock"
	c := byHand(t, byItself)
	id := session(byItself)
	c.typed("\x03")
	c.ends(0)
	check("of a bridge by hand", id)

	systemctl(t, "stop", "aaau.socket", "aaau.service")
	output(t, root, "sh", "-c", "chown -R aaau-bridge:aaau-bridge "+recordDir+"; chmod 750 "+recordDir+" "+recordDir+"/sessions")
	systemctl(t, "start", "aaau.socket")
	check("as it was before there were auditors", id, session(serverSocket))
}

// Output of which nobody has anything any more is missing, and the record says where and
// how much: here somebody has removed a session's record, and the bridge died then.
func TestRecordHasHoles(t *testing.T) {
	begin(t)
	since := journalNow(t)
	s := sit(t, as(t, "operator"), "aaau", "--", "bash", "-c", `stty raw -echo; head -c 9000000 /dev/zero | tr '\0' x; printf done; read -rn1 x; printf more`)
	s.expect("done")
	id := newest(t)
	output(t, as(t, "root"), "sh", "-c", "rm "+recordDir+"/sessions/"+id+"-*")
	killBridge(t, 0)
	peek(t, id, "done")
	s.typed("x")
	s.expect("more")
	s.ends(0)
	_, n := printed(t, id, audit.Stdout)
	r, err := audit.Verify(recordDir, id, nil, nil)
	if err != nil || r.Problem != nil || !r.Ended || r.Holes != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	missing := int64(0)
	for _, m := range metadata(t, id) {
		if hole, is := m.(*audit.Hole); is {
			missing += hole.Bytes
		}
	}
	if missing == 0 || n == 0 || missing+n != 9000000+8 {
		t.Errorf("%d bytes are recorded, and %d are missing", n, missing)
	}
	if r := run(t, as(t, "root"), "aaau-server", "audit", "verify", "--no-anchors", id); r.status != 0 || !strings.Contains(r.stdout, ", 1 holes in the output,") {
		t.Errorf("%+v", r)
	}
	if got := len(entries(t, since, "AAAU_EVENT=record_hole", "AAAU_SESSION="+id)); got != 1 {
		t.Errorf("the journal has %d holes", got)
	}
}

// The record has from where somebody came, and what their session was and used.
func TestRecordHasDetails(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	login := func(command string) []string { // as sshd does it
		return []string{"sh", "-c", `echo "$(id -u)" >/proc/self/loginuid; exec ` + command}
	}
	s := sitAt(t, operator, 33, 99, nil, login(`sh -c 'aaau -- sh -c "tty; read x"'`)...)
	s.match(`(/dev/pts/\d+)\r\n`)
	id := newest(t)
	s.typed("\r")
	s.ends(0)
	var start *audit.SessionStart
	var end *audit.SessionEnd
	people := 0
	for _, m := range metadata(t, id) {
		var who *audit.Person
		switch m := m.(type) {
		case *audit.SessionStart:
			start, who = m, &m.Person
		case *audit.SessionEnd:
			end = m
		case *audit.Attach:
			who = &m.Person
		case *audit.Input:
			who = m.Person
		}
		if who == nil {
			continue
		}
		if people++; who.LoginUID == nil || *who.LoginUID != operator.uid || who.UID != operator.uid || who.PID == 0 || who.Client == 0 {
			t.Errorf("%s is of %+v", m.Kind(), who)
		}
	}
	if people < 3 || start == nil || end == nil {
		t.Fatalf("%d people, from %v to %v", people, start, end)
	}
	if start.PTY != "/dev/pts/0" || start.Rows != 33 || start.Cols != 99 {
		t.Errorf("%+v", start)
	}
	// It is looked at while systemd does away with the scope: most times in time.
	for range 20 {
		if end.CPUUsec != nil {
			break
		}
		id := output(t, operator, "aaau", "start", "--", "true")
		output(t, operator, "aaau", "wait", id)
		all := metadata(t, id)
		end = all[len(all)-1].(*audit.SessionEnd)
	}
	if end.CPUUsec == nil || *end.CPUUsec <= 0 {
		t.Errorf("%+v", end)
	}
	// With pipes, from a service: nobody has logged in.
	if r := run(t, operator, "aaau", "-p", "sh -c 'printf 1234; printf 56 >&2'"); r.stdout != "1234" || r.stderr != "56" {
		t.Fatalf("%+v", r)
	}
	for found, err := range audit.Search(recordDir, audit.Query{Kinds: []audit.Kind{audit.KindSessionStart}, Text: "printf 1234"}) {
		if err != nil {
			t.Fatal(err)
		}
		id = found.SessionID
	}
	all := metadata(t, id)
	if start := all[0].(*audit.SessionStart); !start.Pipes || start.LoginUID != nil || start.PTY != "" {
		t.Errorf("%+v", start)
	}
	if end := all[len(all)-1].(*audit.SessionEnd); end.Bytes != 4 || end.ErrorBytes != 2 {
		t.Errorf("%+v", end)
	}
}
