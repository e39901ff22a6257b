package system

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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
		m, err := e.Decode()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
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
	s := sit(t, operator, "sh", "-c", "aaau -- bash -c "+quote(script)+" | tee out | tail -c 20; echo; sha256sum < out")
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

// What is typed where a program asks for a password stands nowhere, but for its length;
// what is typed into an editor does. (sudo asks as getpass does, but not in sessions: it
// cannot become root there.)
func TestSecretsStayOut(t *testing.T) {
	begin(t)
	const open = "Typed into an editor"
	right, wrong := rand.Text(), rand.Text() // and so in nothing else that is on this machine
	port := serveSSH(t, "outsider", right)
	s := openShell(t, as(t, "operator"))
	since := journalNow(t)
	typed := 0
	secret := func(text string) {
		t.Helper()
		s.expect("assword: ") // programs print it when nothing is echoed any more; the line itself must not have it
		s.typed(text + "\r")
		typed += len(text) + 1
	}
	length := fmt.Sprintf("[%d]", len(right))
	s.typed("read -rsp 'Pass''word: ' x; echo \"[${#x}]\"\r")
	secret(right)
	s.expect(length)
	s.prompt()
	s.typed("python3 -c 'import getpass; print([len(getpass.getpass())])'\r")
	secret(right)
	s.expect(length)
	s.prompt()
	s.typed("su -c true operator\r") // it does not become him, but it asks
	secret(right)
	s.prompt()
	s.typed("ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p " + port + " outsider@127.0.0.1 'echo $((6*7))-$USER'\r")
	secret(wrong)
	s.expect("Permission denied")
	secret(right)
	s.expect("42-outsider")
	s.prompt()
	s.typed("rm -f text; vi -u NONE -N text\r")
	s.expect(`"text" [New`)
	s.typed("i" + open + "\x1b:wq\r")
	s.prompt()
	s.prints("cat text", open)

	holding := func(text string) string { // while the record is not compressed
		return run(t, as(t, "root"), "grep", "-rlaF", "--devices=skip", "-e", text, "/var/log", "/run", "/var/lib/aaau", "/home").stdout
	}
	if got := holding(open); !strings.Contains(got, recordDir) || !strings.Contains(got, "/text\n") {
		t.Errorf("what is no secret is in %q", got)
	}
	told := journal(t, since, "--output=export")
	if !strings.Contains(told, s.id) {
		t.Errorf("the journal says %q", told)
	}
	for _, text := range []string{right, wrong} {
		if got := holding(text); got != "" {
			t.Errorf("a secret is in %s", got)
		}
		if strings.Contains(told, text) {
			t.Error("a secret is in the journal")
		}
	}
	s.close()
	all := ""
	for e, err := range audit.Read(recordDir, s.id) {
		if err != nil {
			t.Fatal(err)
		}
		all += string(e.Raw) + "\n"
	}
	input := strings.Join(recorded(t, s.id, audit.KindInput), "")
	for _, text := range []string{right, wrong} {
		if strings.Contains(all, text) || strings.Contains(input, text) || strings.Contains(s.all(), text) {
			t.Error("a secret is in the record, or on the terminal")
		}
	}
	withheld := 0
	for _, m := range metadata(t, s.id) {
		if in, ok := m.(*audit.Input); ok && in.Withheld == "password" {
			withheld += in.Bytes
		}
	}
	if withheld != typed {
		t.Errorf("%d bytes were withheld of %d", withheld, typed)
	}
	if !strings.Contains(input, "i"+open+"\x1b:wq\r") {
		t.Errorf("input is recorded as %q", input)
	}
}

// serveSSH lets somebody in with a password, on a port of this machine, until the test ends.
func serveSSH(t *testing.T, user, password string) (port string) {
	t.Helper()
	root := as(t, "root")
	t.Cleanup(func() { output(t, root, "usermod", "--lock", user) })
	key := filepath.Join(t.TempDir(), "key")
	for _, r := range []result{
		feed(t, root, user+":"+password+"\n", "chpasswd"),
		run(t, root, "dropbearkey", "-t", "ed25519", "-f", key),
	} {
		if r.status != 0 {
			t.Fatalf("%+v", r)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			f, err := c.(*net.TCPConn).File()
			c.Close()
			if err != nil {
				t.Error(err)
				continue
			}
			sshd := root.command(ctx, "dropbear", "-i", "-r", key) // one connection's, and ends with it
			sshd.Stdin, sshd.Stdout = f, f
			_ = sshd.Run() // it says to the journal what is wrong, and ends with 1 anyhow
			f.Close()
		}
	}()
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A record that cannot be written stops the session before it prints more than is kept,
// and lets it go on when it can; nothing is lost.
func TestFullDisk(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	onDisk(t, "6M", "record-reserve=2M\n")
	follower := start(t, operator, nil, "follow", "text")
	if got := follower.line(); got != "open" {
		t.Fatal(got)
	}
	id := newest(t)
	await(t, "the session is frozen", func() bool { return inStatus(t, id, "frozen") == "[record]" })
	refused(t, operator, []string{"the record cannot be written", "record-reserve="}, "aaau", "-p", "true")
	refused(t, operator, []string{"cannot be recorded"}, "aaau", "attach", id)
	old := mainPID(t, "aaau.service")
	kill(t, old, syscall.SIGKILL)
	await(t, "who was there is back, with the next bridge", func() bool {
		pid, err := systemctlMay("show", "--value", "--property=MainPID", "aaau.service")
		return err == nil && pid != "0" && pid != strconv.Itoa(old) && inStatus(t, id, "clients") == "1"
	})
	refused(t, operator, []string{"cannot be recorded"}, "aaau", "attach", id)
	output(t, as(t, "root"), "mount", "-o", "remount,size=3G", recordDir)
	await(t, "the session goes on", func() bool { return inStatus(t, id, "frozen") == "<nil>" || inStatus(t, id, "frozen") == "" })
	follower.say("stop\n")
	if got := follower.line(); !strings.HasPrefix(got, "whole: ") {
		t.Error(got)
	}
	verified(t, id)
	selfChecked(t, id)
}

// onDisk has the bridge record on a disk of its own, of this size, until the test ends.
func onDisk(t *testing.T, size, configuration string) {
	t.Helper()
	root := as(t, "root")
	configure(t, configuration)
	systemctl(t, "stop", "aaau.socket", "aaau.service")
	output(t, root, "mount", "-t", "tmpfs", "-o", "mode=0750,uid="+output(t, root, "id", "-u", "aaau-bridge")+",size="+size, "tmpfs", recordDir)
	systemctl(t, "start", "aaau.socket")
	t.Cleanup(func() {
		systemctl(t, "stop", "aaau.socket", "aaau.service")
		output(t, root, "umount", recordDir)
		systemctl(t, "start", "aaau.socket")
	})
}

// A session that prints more than it may is frozen, and goes on when an Admin lets it.
func TestRecordBudget(t *testing.T) {
	begin(t)
	configure(t, "record-session-max=4M\n")
	operator := as(t, "operator")
	id := output(t, operator, "aaau", "start", "--", "sh", "-c", "yes 'more and more' | head -c 16000000; echo done; read x")
	times := 0
	await(t, "the session has printed all", func() bool {
		if inStatus(t, id, "frozen") == "[budget]" {
			refused(t, operator, []string{"record-session-max=", "Admin"}, "aaau", "thaw", id)
			output(t, as(t, "root"), "aaau", "thaw", id)
			times++
		}
		return strings.Contains(run(t, operator, "aaau", "peek", id).stdout, "done")
	})
	if times < 2 {
		t.Errorf("it was frozen %d times", times)
	}
	output(t, operator, "aaau", "kill", id)
}

// A session that may print only so much in a second takes its time.
func TestRecordRate(t *testing.T) {
	begin(t)
	configure(t, "record-session-rate=2M\n")
	began := time.Now()
	output(t, as(t, "operator"), "sh", "-c", "aaau -p 'head -c 8000000 /dev/zero' | tail -c 1 >/dev/null")
	if took := time.Since(began); took < 1500*time.Millisecond { // of 8 MB the tape holds half
		t.Errorf("it took %v", took)
	}
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

// Of the record only so much stays as the configuration has it; that more was there is
// known, and no session that goes on loses anything.
func TestRecordExpires(t *testing.T) {
	begin(t)
	operator, since := as(t, "operator"), journalNow(t)
	// of is a session's record, made one of some days ago.
	of := func(id string, days int) {
		t.Helper()
		date := regexp.MustCompile(`\d{4}-\d\d-\d\d`)
		then := time.Now().UTC().AddDate(0, 0, -days).Format(time.DateOnly)
		files, err := filepath.Glob(filepath.Join(recordDir, "sessions", id+"-*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, name := range files {
			if err := os.Rename(name, date.ReplaceAllString(name, then)); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(id string) int {
		t.Helper()
		files, err := audit.Files(recordDir, id)
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	ended := func() string {
		t.Helper()
		id := output(t, operator, "aaau", "start", "--", "sh", "-c", "echo done")
		output(t, operator, "aaau", "wait", id)
		compressed(t, id)
		return id
	}
	old, aged, young := ended(), ended(), ended()
	goesOn := output(t, operator, "aaau", "start", "--", "sh", "-c", "echo begun; read x")
	peek(t, goesOn, "begun")
	of(old, 40)
	of(aged, 20)
	of(goesOn, 50)
	systemctl(t, "restart", "aaau.service") // takes the session back, and keeps house
	await(t, "the old one goes", func() bool { return left(old) == 0 })
	if left(aged) != 1 || left(young) != 1 {
		t.Error("after 30 days too much is gone")
	}
	configure(t, "record-days=100\n")
	if err := os.WriteFile("/etc/aaau/aaau.conf.d/90-test.conf", []byte("record-days=7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	systemctl(t, "reload", "aaau.service")
	await(t, "the next goes", func() bool { return left(aged) == 0 })
	if left(young) != 1 || left(goesOn) != 1 {
		t.Error("after 7 days too much is gone")
	}
	if err := os.WriteFile("/etc/aaau/aaau.conf.d/90-test.conf", []byte("record-max=1K\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	systemctl(t, "reload", "aaau.service")
	await(t, "the last goes", func() bool { return left(young) == 0 })
	output(t, operator, "aaau", "send", goesOn, "--enter", "x")
	output(t, operator, "aaau", "wait", goesOn)
	verified(t, goesOn)
	for r, err := range audit.VerifyAll(recordDir, nil) {
		if err != nil || r.Problem != nil {
			t.Error(r.Problem, err)
		}
	}
	for _, want := range []string{" older than 30 days\n", " older than 7 days\n", " for the rest to be no more than 1 MiB\n"} {
		await(t, "the journal to tell of those"+want, func() bool { // it is told when they are gone
			return strings.Contains(journal(t, since, "--output=cat", "AAAU_EVENT=retention"), want)
		})
	}
}
