package system

import (
	"strings"
	"testing"
)

// printing is a shell command that prints control sequences, and then says ready.
func printing(s string) string {
	return "printf '" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "\x1b", `\033`) + "'; printf ready; "
}

// How a program made a terminal look ends with its being shown there, however that ends,
// and whoever joins sees it as it was.
func TestLooksAreGivenBack(t *testing.T) {
	const looks = "\x1b]10;#ff0000\x1b\\\x1b]11;#400000\x1b\\\x1b]4;1;#123456\x1b\\\x1b]22;wait\x1b\\\x1b]9;4;1;50\x1b\\\x1b]2;the agent\x1b\\\x1b[20h\x1b[?67h\x1b[?9001h"
	const traces = "\x1b[41;30m\x1b[1;9r\x1b(0\x1b]8;;http://a.example\x1b\\"
	for name, leave := range map[string]func(c *console, id string){
		"detached":  func(c *console, _ string) { c.typed("\x1d\x1d\x1d") },
		"dismissed": func(c *console, id string) { output(t, as(t, "operator"), "aaau", "detach", id) },
		"ended":     func(c *console, _ string) { c.typed("\r") },
		"killed":    func(c *console, id string) { output(t, as(t, "operator"), "aaau", "kill", id) },
	} {
		t.Run(name, func(t *testing.T) {
			begin(t)
			operator := as(t, "operator")
			c := sit(t, operator, "aaau", "--", "sh", "-c", printing(looks+traces)+"read x")
			id := c.session()
			c.expect("\x1b[22;0t")
			c.expect("ready")
			joined := sit(t, operator, "aaau", "attach", id)
			for set := range strings.SplitSeq("\x1b]22;wait\x1b\\ \x1b[20h \x1b[?67h \x1b[?9001h \x1b]10;#ff0000\x1b\\ \x1b]11;#400000\x1b\\ \x1b]4;1;#123456\x1b\\ \x1b]9;4;1;50\x1b\\ \x1b]2;the\xa0agent", " ") {
				joined.expect(strings.ReplaceAll(set, "\xa0", " "))
			}
			joined.typed("\x1d\x1d\x1d")
			_, also := joined.leave()
			leave(c, id)
			_, rest := c.leave()
			for off := range strings.SplitSeq("\x1b]110\x1b\\ \x1b]111\x1b\\ \x1b]104;1\x1b\\ \x1b]22;\x1b\\ \x1b]9;4;0\x1b\\ \x1b[23;0t \x1b[20l \x1b[?67l \x1b[?9001l \x1b[m \x1b[r \x1b(B \x1b]8;;\x1b\\", " ") {
				for who, left := range map[string]string{"the person": rest, "who joined": also} {
					if !strings.Contains(left, off) {
						t.Errorf("%s: no %q in %q", who, off, left)
					}
				}
			}
			run(t, as(t, "root"), "aaau", "kill", id) // it may have ended
		})
	}
}

// Half a sequence is ended, too, though nothing else was changed.
func TestHalfASequenceIsEnded(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	c := sit(t, operator, "aaau", "--", "sh", "-c", "printf ready; "+printing("\x1b]0;")+"exec cat")
	id := c.session()
	c.expect("ready")
	c.expect("ready")
	c.typed("\x1d\x1d\x1d")
	if _, rest := c.leave(); !strings.Contains(rest, "\x18\x1b\\") {
		t.Errorf("%q", rest)
	}
	output(t, operator, "aaau", "kill", id)
}

// A full-screen program takes nothing from what stood on the terminal before: the prompt
// is then where it would be without the program. tmux says what its panes show.
func TestPromptStandsWhereItWas(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	w := newWall(t, operator)
	const full = "\x1b[?1049h\x1b[H\x1b[2J\x1b[2;5r\x1b[31mfull screen\x1b[5;5H"
	const session = `([0-9a-z]+)`
	// The shell before and after stands for the person's.
	around := func(command string) []string {
		return []string{"sh", "-c", "echo before; " + command + "; echo after; exec sleep 1000"}
	}
	for _, c := range []struct{ name, program, keys, want string }{
		{"ended", printing(full) + "read x", "\r", `^before\naaau: session ` + session + `[^\n]*\nafter$`},
		{"detached", printing(full) + "read x", "\x1d\x1d\x1d", `^before\naaau: session ` + session + `[^\n]*\naaau: detached; back with: aaau attach ` + session + `\nafter$`},
		{"tidily ended", printing(full) + `read x; printf '\033[?1049l'`, "\r", `^before\naaau: session ` + session + `[^\n]*\nafter$`},
		{"at a prompt", printing("\x1b[?2004h\x1b[31m$ ") + "read x; exit", "\x1d\x1d\x1d", `^before\naaau: session ` + session + `[^\n]*\n\$ ready\naaau: detached; back with: aaau attach ` + session + `\nafter$`},
		// As agents do that draw their input line on the main screen, with something below it.
		{"above what it has drawn", printing("answer\r\n> input\r\nbelow\x1b[A\r\x1b[?2004h") + "read x; exit", "\x1d\x1d\x1d", `^before\naaau: session ` + session + `[^\n]*\nanswer\nreadyut\nbelow\naaau: detached; back with: aaau attach ` + session + `\nafter$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.open(t, 12, 200, around("aaau -- sh -c \""+strings.ReplaceAll(strings.ReplaceAll(c.program, `\`, `\\`), "$", `\$`)+"\"")...)
			p.shows(t, `ready`)
			p.typed(t, c.keys)
			id := p.shows(t, c.want)[1]
			p.close(t)
			run(t, as(t, "root"), "aaau", "kill", id) // it may have ended
		})
	}
}
