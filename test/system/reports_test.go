package system

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/term"
)

func init() { programs["told"] = showTold }

// showTold asks for reports of the focus and of the size, and prints in hexadecimal what it
// is told, a line for each report; at a > it prints its terminal's size, with pixels.
func showTold([]string) int {
	if _, err := term.MakeRaw(0); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Print("\x1b[?1004h\x1b[?2048hready\r\n")
	for in := bufio.NewReader(os.Stdin); ; {
		b, err := in.ReadByte()
		if err != nil {
			return 0
		}
		fmt.Printf("%02x", b)
		switch b {
		case 't', 'I', 'O':
			fmt.Print("\r\n")
		case '>':
			ws, err := pty.GetsizeFull(os.Stdin)
			if err != nil {
				fmt.Println(err)
				return 1
			}
			fmt.Printf(" %d %d %d %d\r\n", ws.Rows, ws.Cols, ws.X, ws.Y)
		}
	}
}

// A program that asked for it is told of the focus and of the size when people come and go,
// once each, and nothing when only the bridge dies. Its terminal has their pixels.
func TestProgramIsToldWhatItAskedFor(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	a := sit(t, operator, "aaau", "--", helper, "told")
	id := a.session()
	want := "ready\n"
	told := func(reports ...string) {
		t.Helper()
		for _, r := range reports {
			want += fmt.Sprintf("%x\n", r)
		}
		var screen string
		await(t, fmt.Sprintf("the reports %q", reports), func() bool {
			screen = output(t, operator, "aaau", "peek", id)
			return strings.Contains(screen, strings.TrimSpace(want))
		})
		if screen = strings.TrimSpace(screen); screen != strings.TrimSpace(want) {
			t.Errorf("the program was told\n%s, not\n%s", screen, want)
		}
	}
	size := func(c *console, says string) {
		t.Helper()
		want += "3e " + says + "\n"
		c.typed(">")
		peek(t, id, "3e "+says)
	}
	told("\x1b[48;24;80;0;0t")
	if err := pty.Setsize(a.master, &pty.Winsize{Rows: 24, Cols: 80, X: 800, Y: 480}); err != nil {
		t.Fatal(err)
	}
	told("\x1b[48;24;80;480;800t")
	size(a, "24 80 800 480")
	killBridge(t, 0)
	await(t, "the person to be back", func() bool { return inStatus(t, id, "clients") == "1" }) // or the key could be lost
	size(a, "24 80 800 480")
	a.signal(syscall.SIGTERM)
	a.ends(143)
	told("\x1b[O")
	b := sitAt(t, operator, 30, 100, nil, "aaau", "attach", id)
	b.expect("1b5b4f")
	told("\x1b[I", "\x1b[48;30;100;0;0t")
	size(b, "30 100 0 0")
	b.signal(syscall.SIGHUP)
	b.ends(129)
	told("\x1b[O")
	output(t, operator, "aaau", "kill", id)
}
