package system

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// console is a person at a terminal, with one program running on it.
type console struct {
	t       *testing.T
	who     account
	master  *os.File
	leader  *exec.Cmd
	pid     int           // the program's
	status  *bufio.Reader // the leader's words
	release *os.File      // closed, it lets the leader end
	before  unix.Termios  // as the program found the terminal

	mu    sync.Mutex // guards what follows
	shown []byte     // all output so far
	seen  int        // how much of it was expected already
	news  chan struct{}
	eof   bool
	also  io.Writer // gets all that is shown; then only the end of it is kept
}

// sit puts a person at a terminal of 24 by 80 and runs argv on it.
func sit(t *testing.T, who account, argv ...string) *console {
	t.Helper()
	return sitAt(t, who, 24, 80, nil, argv...)
}

// sitAt is sit with a size, and with answers to what programs ask a terminal.
func sitAt(t *testing.T, who account, rows, cols uint16, answers map[string]string, argv ...string) *console {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	// pty.Open's are blocking: closing such a file does not end a read.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "terminal")
	c := &console{t: t, who: who, master: master, news: make(chan struct{}, 1)}
	c.resize(rows, cols)
	// Modes that nobody would set by himself: who "resets" the terminal is found out.
	c.before = c.modes()
	c.before.Iflag |= unix.IUTF8 | unix.IXANY
	c.before.Cc[unix.VERASE] = 'H' & 0x1f
	if err := unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, &c.before); err != nil {
		t.Fatal(err)
	}
	statusR, statusW := pipe(t)
	releaseR, releaseW := pipe(t)
	defer statusW.Close()
	defer releaseR.Close()
	c.status, c.release = bufio.NewReader(statusR), releaseW

	c.leader = who.command(context.Background(), append([]string{helper, "leader"}, argv...)...)
	c.leader.Stdin, c.leader.Stdout, c.leader.Stderr = slave, slave, slave
	c.leader.ExtraFiles = []*os.File{statusW, releaseR}
	c.leader.SysProcAttr.Setctty = true
	if err := c.leader.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(answers)
	}()
	t.Cleanup(func() {
		c.release.Close()
		statusR.Close()
		master.Close()
		if err := syscall.Kill(c.pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Error(err)
		}
		_ = c.leader.Wait() // how it ends is of no interest
		<-read
		if t.Failed() {
			t.Logf("%s at %.200q saw:\n%q", who.name, argv, c.all())
		}
	})
	c.pid = c.word("pid")
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// leadTerminal is the session leader of a console's terminal, as a login shell
// is: it starts its arguments in the foreground, says how they end, and stays.
// Without it the program itself would be the leader, and the kernel would reset
// the terminal's modes at its end, whatever the program had left them at.
func leadTerminal(argv []string) int {
	signal.Ignore(syscall.SIGHUP, syscall.SIGTTOU)
	status, release := os.NewFile(3, "status"), os.NewFile(4, "release")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	cmd := exec.Command("/usr/bin/env", append([]string{"--default-signal=HUP,TTOU", "--"}, argv...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Fprintf(status, "pid %d\n", cmd.Process.Pid)
	_ = cmd.Wait() // its state says it all
	w := cmd.ProcessState.Sys().(syscall.WaitStatus)
	fmt.Fprintf(status, "wait %d\n", uint32(w))
	_, _ = release.Read(make([]byte, 1)) // end of file
	return 0
}

// word waits for one of the leader's.
func (c *console) word(name string) (n int) {
	c.t.Helper()
	type answer struct {
		line string
		err  error
	}
	said := make(chan answer, 1)
	go func() {
		line, err := c.status.ReadString('\n')
		said <- answer{line, err}
	}()
	select {
	case a := <-said:
		if _, err := fmt.Sscanf(a.line, name+" %d\n", &n); err != nil {
			c.t.Fatalf("the terminal's leader said %q, %v", a.line, a.err)
		}
	case <-time.After(patience):
		c.t.Fatalf("the program does not end; it has shown %q", c.all())
	}
	return n
}

func (c *console) read(answers map[string]string) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.master.Read(buf)
		for query, answer := range answers {
			for range bytes.Count(buf[:n], []byte(query)) {
				_, _ = c.master.WriteString(answer) // the terminal may be closing
			}
		}
		c.mu.Lock()
		c.shown = append(c.shown, buf[:n]...)
		if c.also != nil {
			_, _ = c.also.Write(buf[:n]) // which never fails
			old := max(0, len(c.shown)-len(buf))
			c.shown = append(c.shown[:0], c.shown[old:]...)
			c.seen = max(0, c.seen-old)
		}
		c.eof = err != nil
		c.mu.Unlock()
		select {
		case c.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// showsAlso has all that the terminal shows be written to w too, which must not fail; of
// what it shows from now on, only the end is kept.
func (c *console) showsAlso(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = w.Write(c.shown)
	c.also = w
}

// all is everything that the terminal has shown.
func (c *console) all() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.shown)
}

// typed sends keys.
func (c *console) typed(keys string) {
	c.t.Helper()
	if _, err := c.master.WriteString(keys); err != nil {
		c.t.Fatal(err)
	}
}

// expect waits for a text in what is new on the terminal.
func (c *console) expect(text string) {
	c.t.Helper()
	c.match(regexp.QuoteMeta(text))
}

// match waits for what is new on the terminal to match, and returns what stood
// before, and the match with its submatches. Only what comes after is new then.
func (c *console) match(pattern string) []string {
	c.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		c.mu.Lock()
		unseen, eof := string(c.shown[c.seen:]), c.eof
		m := re.FindStringSubmatchIndex(unseen)
		if m != nil {
			c.seen += m[1]
		}
		c.mu.Unlock()
		if m != nil {
			found := []string{unseen[:m[0]]}
			for i := 0; i < len(m); i += 2 {
				found = append(found, unseen[max(m[i], 0):max(m[i+1], 0)])
			}
			return found
		}
		if eof {
			c.t.Fatalf("the terminal's end instead of %q; it has shown %q", pattern, unseen)
		}
		select {
		case <-c.news:
		case <-late:
			c.t.Fatalf("in vain waited for %q; the terminal has shown %q", pattern, unseen)
		}
	}
}

// session is the id of the session that the client says it is in.
func (c *console) session() string {
	c.t.Helper()
	return c.match(`session ([0-9a-z]+)[^0-9a-z]`)[2] // whole: output may come in pieces
}

func (c *console) modes() (m unix.Termios) {
	c.t.Helper()
	c.control(func(fd int) error { // a master answers with its slave's
		got, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			m = *got
		}
		return err
	})
	return m
}

func (c *console) resize(rows, cols uint16) {
	c.t.Helper()
	c.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
}

// control lends the master's descriptor. Its Fd method would make it blocking.
func (c *console) control(f func(fd int) error) {
	c.t.Helper()
	raw, err := c.master.SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	if err2 := raw.Control(func(fd uintptr) { err = f(int(fd)) }); err != nil || err2 != nil {
		c.t.Fatal(err, err2)
	}
}

// signal sends one to the program.
func (c *console) signal(s syscall.Signal) {
	c.t.Helper()
	if err := syscall.Kill(c.pid, s); err != nil {
		c.t.Fatal(err)
	}
}

// leave waits for the program's end, makes sure that it gave the terminal back
// as it found it, and returns its exit status (negative: the signal that ended
// it) and what was on the terminal that was not expected before.
func (c *console) leave() (status int, rest string) {
	c.t.Helper()
	w := syscall.WaitStatus(c.word("wait"))
	if after := c.modes(); after != c.before {
		c.t.Errorf("the terminal was not given back as it was:\nbefore %+v\nafter  %+v", c.before, after)
	}
	c.release.Close() // the last who holds the terminal goes, and its end is read
	await(c.t, "the terminal's end", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.eof
	})
	c.mu.Lock()
	rest = plain(string(c.shown[c.seen:]))
	c.seen = len(c.shown)
	c.mu.Unlock()
	if w.Signaled() {
		return -int(w.Signal()), rest
	}
	return w.ExitStatus(), rest
}

// ends is leave for a program that must end with a status.
func (c *console) ends(want int) {
	c.t.Helper()
	if got, rest := c.leave(); got != want {
		c.t.Errorf("exit status %d instead of %d; the last it said was %q", got, want, strings.TrimSpace(rest))
	}
}
