package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/audit"
	api "github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// reads is a program that sets its terminal, and tells in hexadecimal what each of so many
// reads gives it.
func reads(stty, modes string, n int) string {
	return fmt.Sprintf(`stty %s; printf '%sready\n'; i=0
		while [ $i -lt %d ]; do dd bs=65536 count=1 2>/dev/null | od -An -v -tx1 | tr -d ' \n'; echo; i=$((i+1)); done`, stty, modes, n)
}

// readsAll is a program that tells in hexadecimal what so many bytes of input are.
func readsAll(stty, modes string, n int) string {
	return fmt.Sprintf(`stty %s; printf '%sready\n'; head -c %d | od -An -v -tx1 | tr -d ' \n'; echo`, stty, modes, n)
}

// inputs is all that is recorded as typed in a session.
func (h *harness) inputs(id string) (typed string) {
	h.t.Helper()
	for e, err := range audit.Read(h.record, id) {
		if err != nil {
			h.t.Fatal(err)
		}
		if e.Kind == audit.KindInput {
			text, err := e.Text()
			if err != nil {
				h.t.Fatal(err)
			}
			typed += text
		}
	}
	return typed
}

// A text comes as one paste, and Enter apart; keys come in the protocol that the program
// has switched on, each apart.
func TestSendingTextAndKeys(t *testing.T) {
	const raw, paste = "raw -echo opost onlcr", `\033[?2004h`
	begin, end := "\x1b[200~", "\x1b[201~"
	submit := func(text string) func(context.Context, *api.Conn, string) error {
		return func(ctx context.Context, c *api.Conn, id string) error { return c.Submit(ctx, id, []byte(text)) }
	}
	press := func(keys ...string) func(context.Context, *api.Conn, string) error {
		return func(ctx context.Context, c *api.Conn, id string) error { return c.Press(ctx, id, keys...) }
	}
	for name, test := range map[string]struct {
		stty, modes string
		send        func(context.Context, *api.Conn, string) error
		want        []string
	}{
		"a text":             {raw, paste, submit("go on"), []string{begin + "go on" + end, "\r"}},
		"one letter":         {raw, paste, submit("y"), []string{begin + "y" + end, "\r"}},
		"several lines":      {raw, paste, submit("a\nb\r\nc"), []string{begin + "a\rb\rc" + end, "\r"}},
		"an end of a paste":  {raw, paste, submit("a" + end + "\x03b"), []string{begin + "a[201~b" + end, "\r"}},
		"no text":            {raw, paste, submit(""), []string{"\r"}},
		"no bracketed paste": {raw, "", submit("a\nb"), []string{"a\rb", "\r"}},
		"all keys reported":  {raw, paste + `\033[>9u`, submit("a"), []string{begin + "a" + end, "\x1b[13u"}},
		"pasted, no Enter": {raw, paste, func(ctx context.Context, c *api.Conn, id string) error { return c.Paste(ctx, id, []byte("a\nb")) },
			[]string{begin + "a\rb" + end}},
		"typed, and Enter": {raw, paste, func(ctx context.Context, c *api.Conn, id string) error {
			return c.TypeAndEnter(ctx, id, []byte("\x15:wq"))
		}, []string{"\x15:wq", "\r"}},
		"bytes": {raw, paste, func(ctx context.Context, c *api.Conn, id string) error { return c.Send(ctx, id, []byte("\x1b[A\n\r")) },
			[]string{"\x1b[A\n\r"}},
		"a text, and a return later": {raw, paste, func(ctx context.Context, c *api.Conn, id string) error {
			return errors.Join(c.Send(ctx, id, []byte("abc")), c.Send(ctx, id, []byte("\r")))
		}, []string{"abc", "\r"}},
		"a text, and Enter later": {raw, paste, func(ctx context.Context, c *api.Conn, id string) error {
			return errors.Join(c.Send(ctx, id, []byte("abc")), c.Press(ctx, id, "Enter"))
		}, []string{"abc", "\r"}},
		"keys":                 {raw, "", press("C-c", "Escape", "Up", "x"), []string{"\x03", "\x1b", "\x1b[A", "x"}},
		"keys in kitty's":      {raw, `\033[>1u`, press("C-c", "Escape", "Enter"), []string{"\x1b[99;5u", "\x1b[27u", "\r"}},
		"keys in xterm's":      {raw, `\033[>4;2m`, press("C-c"), []string{"\x1b[27;5;99~"}},
		"application keys":     {raw, `\033[?1h`, press("Up"), []string{"\x1bOA"}},
		"lines":                {"-echo", "", submit("go on"), []string{"go on\n"}},
		"lines, paste left on": {"-echo", paste, submit("go on"), []string{"go on\n"}},
		"lines by LF only":     {"-echo -icrnl", "", submit("go\non"), []string{"go\n", "on\n"}},
		"the longest line":     {"-echo", "", submit(strings.Repeat("x", session.MaxLine)), []string{strings.Repeat("x", session.MaxLine) + "\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			script := reads(test.stty, test.modes, len(test.want))
			if strings.Contains(name, "keys") { // how fast the program reads them is its own affair
				test.want = []string{strings.Join(test.want, "")}
				script = readsAll(test.stty, test.modes, len(test.want[0]))
			}
			s := h.sh(script)
			defer time.AfterFunc(patience, func() { _ = s.Kill() }).Stop() // it waits for what does not come
			h.shows(s.ID, "ready")
			if err := test.send(t.Context(), h.asking(), s.ID); err != nil {
				t.Fatal(err)
			}
			out, _ := h.all(s)
			_, out, _ = strings.Cut(out, "ready\r\n")
			want := ""
			for _, w := range test.want {
				want += fmt.Sprintf("%x\r\n", w)
			}
			if out != want {
				t.Errorf("the program read %.200q, not %.200q", out, want)
			}
			// Lines that are not shown may be passwords.
			if got := h.inputs(s.ID); test.stty == raw && got != strings.Join(test.want, "") {
				t.Errorf("%q is recorded", got)
			}
		})
	}
}

// A program that starts, or is busy, and prints meanwhile, reads what was typed late; Enter
// and keys come apart from it all the same.
func TestKeysWaitForReading(t *testing.T) {
	const busy = "i=0; while [ $i -lt 25 ]; do echo busy; sleep 0.1; i=$((i+1)); done; "
	for name, test := range map[string]struct {
		send func(context.Context, *api.Conn, string) error
		want string
	}{
		"a text, and Enter": {func(ctx context.Context, c *api.Conn, id string) error { return c.Submit(ctx, id, []byte("go on")) },
			fmt.Sprintf("%x\r\n%x\r\n", "go on", "\r")},
		"two keys": {func(ctx context.Context, c *api.Conn, id string) error { return c.Press(ctx, id, "y", "Enter") },
			fmt.Sprintf("%x\r\n%x\r\n", "y", "\r")},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			s := h.sh("stty raw -echo opost onlcr; echo ready; " + busy + reads("raw -echo opost onlcr", "", 2))
			defer time.AfterFunc(patience, func() { _ = s.Kill() }).Stop() // it waits for what does not come
			h.shows(s.ID, "ready")
			if err := test.send(t.Context(), h.asking(), s.ID); err != nil {
				t.Fatal(err)
			}
			out, _ := h.all(s)
			if !strings.HasSuffix(out, "ready\r\n"+test.want) {
				t.Errorf("the program read %.500q", out)
			}
		})
	}
}

// What a program cannot take is refused, in a line that says why, and nothing is typed.
func TestSendingIsRefused(t *testing.T) {
	h := start(t, nil)
	lines := h.sh(reads("-echo", "", 1))
	defer time.AfterFunc(patience, func() { _ = lines.Kill() }).Stop()
	h.shows(lines.ID, "ready")
	c, ctx := h.asking(), t.Context()
	long := []byte("short\n" + strings.Repeat("x", session.MaxLine+1))
	refused := func(err error, code string, words ...string) {
		t.Helper()
		var note *wire.ErrorNote
		if !errors.As(err, &note) || note.Code != code {
			t.Errorf("%v, not %s", err, code)
			return
		}
		for _, w := range words {
			if !strings.Contains(note.Message, w) || strings.Contains(note.Message, "\n") {
				t.Errorf("%q does not say %q", note.Message, w)
			}
		}
	}
	refused(c.Submit(ctx, lines.ID, long), "line-too-long", "4095")
	refused(c.Send(ctx, lines.ID, long), "line-too-long", "4095")
	refused(c.Press(ctx, lines.ID, "Up", "Entr"), "unknown-key", "Entr", "Enter")
	many := make([]string, maxKeys+1)
	for i := range many {
		many[i] = "x"
	}
	refused(c.Press(ctx, lines.ID, many...), "malformed")
	if err := c.Freeze(ctx, lines.ID); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{c.Submit(ctx, lines.ID, []byte("x")), c.Send(ctx, lines.ID, []byte("x")), c.Press(ctx, lines.ID, "x")} {
		refused(err, "frozen", "frozen by "+name(uint32(unix.Getuid())), "aaau thaw")
	}
	if err := c.Thaw(ctx, lines.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.Submit(ctx, lines.ID, []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if out, _ := h.all(lines); !strings.HasSuffix(out, fmt.Sprintf("ready\r\n%x\r\n", "whole\n")) {
		t.Errorf("the program read %q", out)
	}
}

func TestLongestLine(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 3, "ab\nabcd\rx": 4, "abc\n": 3, "\n\n": 0, "abcd\x04ab": 4} {
		if got := longestLine([]byte(text)); got != want {
			t.Errorf("%q: %d, not %d", text, got, want)
		}
	}
}
