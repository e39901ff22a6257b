package system

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

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
