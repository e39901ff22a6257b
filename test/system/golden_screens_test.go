package system

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// step is what the driver types, and what the terminal shows thereafter: something else
// than before, if there is nothing better to tell it by.
type step struct{ keys, until string }

// subject is a program in a session's shell, and its driver's ways with it.
type subject struct {
	name    string
	start   string // the line that starts it
	to      []step // a picture that is worth looking at
	on      []step // while others look
	further []step // with the next bridge
	leave   []step // back to the shell

	inline bool // it is on the main screen
	moves  bool // the picture does, until who joins has seen the rest

	session string
	stuck   bool
	panes   []*pane // the first is the driver's, who has been there from the start
}

// The places of what the programs show.
const (
	goldenDir  = "/opt/aaau-test-golden"
	goldenText = goldenDir + "/text"
	goldenLong = goldenDir + "/long"
)

func subjects(m *models) []*subject {
	const vim = "vim -u NONE -N -i NONE --cmd 'set nomore mouse=a title ruler noswapfile' -c 'syntax on' -c 'set termguicolors list cursorline' "
	// Lines that the terminal itself has wrapped on the alternate screen get into tmux's
	// history there, when it is left with another width than it was entered with.
	const less = "less -RS "
	return []*subject{
		{
			name:  "vim",
			start: "cd " + goldenDir + "; " + vim + "text.c",
			to: []step{{"", `int sum`}, {"/sum\r", `/sum`}, {":vsplit\r", `text\.c.*text\.c`}, {":hi Normal guibg=#102030 guifg=#e0d0c0\r", ``},
				{"Gotyped\x1b", `^typed`}, {"ggVjj", `VISUAL LINE`}},
			on:      []step{{"\x1b", `text\.c \[\+\]`}, {":split\r\x17j", ``}, {"\x06", ``}, {"Oabove \x16u65e5\x16u0301\x1b", `above`}},
			further: []step{{":only\r", ``}, {":set nonumber nolist\r", `nolist`}, {"gg", `1,1`}, {"i", `INSERT`}},
			leave:   []step{{"\x1b:qa!\r", shellPrompt}},
		},
		{
			name:    "htop",
			start:   "htop -d 30", // between two pictures of its own there is time to compare
			to:      []step{{"", `F10Quit`}, {"\x1bOR", `F3Next`}, {"\x1b", `F10Quit`}, {"\x1b[15~", `F5List`}},
			on:      []step{{"\x1bOQ", `\[Setup\]`}, {"\x1bOB\x1bOB", ``}},
			further: []step{{"\x1b[21~", `F10Quit`}, {"\x1b[17~", `Sort by`}},
			leave:   []step{{"\x1b", `F10Quit`}, {"q", shellPrompt}},
		},
		{
			name:    "less",
			start:   less + goldenText,
			to:      []step{{"", `^/opt.*text$`}, {"j", ``}, {" ", ``}, {"/漢\r", ``}},
			on:      []step{{"b", ``}, {"k", ``}, {"G", `END`}},
			further: []step{{"g", ``}, {"10j", ``}},
			leave:   []step{{"q", shellPrompt}},
		},
		{
			name:    "less for long", // more than the tape holds
			start:   less + goldenLong,
			to:      []step{{"", `^/opt.*long$`}, {strings.Repeat(" ", 100), `END`}, {"k", ``}},
			on:      []step{{"b", ``}},
			further: []step{{"g", ``}},
			leave:   []step{{"q", shellPrompt}},
		},
		{
			name:  "tmux",
			start: "tmux -L inner -f /dev/null new 'exec bash --norc --noprofile' ';' set -g mouse on ';' set -g status-right ''",
			to: []step{{"", `bash\*`}, {"PS1='% '; seq 100\r", `^100\n%`}, {"\x02%", `│`}, {"PS1='right '; cat " + goldenText + "\r", `right$`}, {"\x02\"", `──`},
				{"\x02[", `\[\d+/\d+\]`}, {"\x02:", `^:`}},
			on:      []step{{"\x1b", ``}, {"q", ``}, {"\x02z", `Z`}, {"PS1='below '; seq 7\r", `^below$|right +│?below`}},
			further: []step{{"\x02z", `│`}, {"\x02c", `1:bash\*`}, {"\x02p", `0:bash\*`}},
			leave:   []step{{"\x02:", `^:`}, {"kill-server\r", shellPrompt}},
		},
		{
			name:    "codex",
			moves:   true,
			start:   "codex",
			to:      []step{{"", `Ask Codex`}, {"tell me", `› tell me`}, {"\r", `Here is`}},
			on:      []step{{"", `the end of it`}},
			further: []step{{"/", `/model`}, {"\x1b[B", ``}},
			leave:   []step{{"\x1b", ``}, {"\x7f\x7f", ``}, {"/quit", ``}, {"\r", shellPrompt}},
		},
		{
			name:    "claude",
			inline:  true, // and tmux wraps that anew for another width, which few terminals do
			moves:   true,
			start:   "IS_SANDBOX=1 ANTHROPIC_API_KEY=" + claudeKey + " ANTHROPIC_BASE_URL=" + m.URL + " claude --dangerously-skip-permissions",
			to:      []step{{"", `bypass permissions on`}, {"tell me", `❯.tell me`}, {"\r", `Here is`}},
			on:      []step{{"", `the end of it`}},
			further: []step{{"/", `^ */agents`}, {"\x1b[B", ``}},
			leave:   []step{{"\x1b", ``}, {"\x7f\x7f", ``}, {"/exit", ``}, {"\r", shellPrompt}},
		},
	}
}

// shellPrompt is the last on the screen.
const shellPrompt = `^\$\n*\z`

// claudeKey is accepted by claude's settings.
const claudeKey = "sk-ant-of-a-test-and-of-nobody"

const (
	goldenRows, goldenCols = 30, 100
	// those that the driver changes to
	smallerRows, smallerCols = 26, 90
	// fewLines is less than there is in the history.
	fewLines = 50
)

// Whoever comes late sees what those see who were there from the start: a tmux says
// so, in whose panes they all are.
func TestGoldenScreens(t *testing.T) {
	beginLong(t, 3*lifetime)
	installAgents(t)
	m := newModels(t)
	writeGolden(t)
	configureAgents(t, m)
	w := newWall(t, as(t, "operator"))
	all := subjects(m)
	each := func(when string, do func(t *testing.T, s *subject)) {
		t.Run(when, func(t *testing.T) {
			for _, s := range all {
				if s.stuck {
					continue
				}
				t.Run(s.name, func(t *testing.T) {
					s.stuck = true
					do(t, s)
					s.stuck = t.Failed()
				})
			}
		})
	}
	each("start", func(t *testing.T, s *subject) { s.begin(t, w) })
	each("join", func(t *testing.T, s *subject) {
		s.drive(t, s.to)
		if p := s.join(t, "-r"); s.moves {
			p.shows(t, `Here is`)
		} else {
			s.compare(t)
		}
	})
	close(m.answer)
	each("watch", func(t *testing.T, s *subject) {
		s.drive(t, s.on)
		s.compare(t)
	})
	each("resize", func(t *testing.T, s *subject) {
		if s.inline {
			s.resize(t, smallerRows, goldenCols)
		} else {
			s.resize(t, smallerRows, smallerCols)
		}
		s.compare(t)
		s.join(t)
		s.compare(t)
	})
	kill(t, mainPID(t, "aaau.service"), syscall.SIGKILL)
	each("bridge killed", func(t *testing.T, s *subject) {
		s.compare(t)
		s.join(t, "-r")
		s.compare(t)
		s.drive(t, s.further)
		s.compare(t)
	})
	each("leave", func(t *testing.T, s *subject) {
		if !s.inline {
			s.resize(t, smallerRows, goldenCols)
		}
		s.drive(t, s.leave)
		s.compare(t)
		few, many := s.join(t, "--history", strconv.Itoa(fewLines)), s.join(t)
		s.compare(t)
		few.hasScrollbackOf(t, s.driver(), fewLines, 2) // aaau's own line, which is long
		many.hasScrollbackOf(t, s.driver(), 1000, 2)
	})
	each("end", func(t *testing.T, s *subject) {
		s.driver().typed(t, "exit\r")
		for _, p := range s.panes {
			await(t, "its end", func() bool { return p.tmux(t, "display-message", "-p", "-t", p.id, "#{pane_dead}") == "1" })
		}
	})
}

func (s *subject) driver() *pane { return s.panes[0] }

// begin starts the session, with something on its main screen and beyond, and the
// program in it.
func (s *subject) begin(t *testing.T, w *wall) {
	p := w.open(t, goldenRows, goldenCols, "aaau", "--no-workspace", "--", "bash", "--norc", "--noprofile")
	s.panes = []*pane{p}
	s.session = p.shows(t, `session ([0-9a-z]+)[^0-9a-z]`)[1]
	w.t.Cleanup(func() {
		if w.t.Failed() {
			run(w.t, as(w.t, "root"), "aaau", "kill", s.session)
		}
	})
	// Where a terminal is at a session's beginning, the session does not know.
	p.typed(t, "PS1='$ '; clear; cat "+goldenText+"\r")
	p.shows(t, `^END\n\$`)
	p.typed(t, "clear -x; seq 100 199; "+s.start+"\r")
}

func (s *subject) drive(t *testing.T, steps []step) {
	t.Helper()
	p := s.driver()
	for _, step := range steps {
		before := p.picture(t)
		if step.keys != "" {
			p.typed(t, step.keys)
		}
		if step.until != "" {
			p.shows(t, step.until)
			continue
		}
		if !eventually(func() bool { return p.differ(before, p.picture(t)) != "" }) {
			t.Fatalf("nothing comes of %q; the terminal shows\n%s", step.keys, p.text(t))
		}
	}
}

// join has somebody more attach, in a terminal of the driver's size.
func (s *subject) join(t *testing.T, options ...string) *pane {
	t.Helper()
	d := s.driver()
	size := strings.Fields(d.tmux(t, "display-message", "-p", "-t", d.id, "#{pane_height} #{pane_width}"))
	p := d.open(t, int(number(t, size[0])), int(number(t, size[1])), append(append([]string{"aaau", "attach"}, options...), s.session)...)
	s.panes = append(s.panes, p)
	return p
}

// resize has all terminals be resized.
func (s *subject) resize(t *testing.T, rows, cols int) {
	t.Helper()
	before := len(s.driver().given(t))
	for _, p := range s.panes {
		p.resize(t, rows, cols)
	}
	await(t, "the program to draw for the new size", func() bool { return len(s.driver().given(t)) > before })
}

// compare compares what all others see with what the driver does.
func (s *subject) compare(t *testing.T) {
	t.Helper()
	for i, p := range s.panes[1:] {
		s.driver().same(t, fmt.Sprintf("viewer %d", i+1), p)
	}
}

// writeGolden writes what the programs show: lines that are long, and wide, and of any
// colour, and with marks. Joiners (ZWJ) are not among them: tmux 3.3 joins or does not,
// by where its reads end.
func writeGolden(t *testing.T) {
	t.Helper()
	if err := os.Mkdir(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(goldenDir) })
	var text, long strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "\x1b[1;3%dm%d\x1b[m \x1b[38;2;%d;%d;9;48;5;%dmtrue\x1b[m ", i%8, i, i*4, 255-i*4, i+16)
		for j := range i % 6 {
			text.WriteString([]string{"日本語 漢字 ", "e\u0301a\u0308o\u0302\u0323 ", "\x1b[4;3mslanted\x1b[24m \x1b[7mreverse\x1b[m ", "\U0001F642 ─│┌ ｱ ", "\u2764\ufe0f \U0001F1E9\U0001F1EA \u1112\u1161\u11ab \u05e9\u05b8\u05dc \u0928\u092e\u0938\u094d\u0924\u0947 \U0001F44D\U0001F3FD 1\ufe0f\u20e3 \u00ad\u200b ", "long long long long long long long long long long "}[j])
		}
		text.WriteString("\n")
	}
	text.WriteString("END\n")
	for i := range 90 * goldenRows {
		for j := range goldenCols - 8 {
			fmt.Fprintf(&long, "\x1b[38;2;%d;%d;%d;4%dm%c", i%256, j*2, (i+j)%256, i%8, 'a'+rune(i+j)%26)
		}
		long.WriteString("\x1b[m\n")
	}
	long.WriteString("END\n")
	code := "// long long 日本語 e\u0301\n" + strings.Repeat("int sum(int a, int b)\t{ return a + b; } /* 漢字 o\u0302\u0323 */ char *s = \"\U0001F642 ─ ｱ\";\n", 60)
	for name, content := range map[string]string{goldenText: text.String(), goldenLong: long.String(), goldenDir + "/text.c": code} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// configureAgents makes the operator one whom the agents have welcomed before.
func configureAgents(t *testing.T, m *models) {
	t.Helper()
	home := homeFor(t, "operator")
	write := func(name, content string) {
		t.Helper()
		output(t, as(t, "root"), "sh", "-ec", `cd "$0"; mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"; chown -R agent: "${1%%/*}"`, home, name, content)
	}
	write(".claude.json", `{"hasCompletedOnboarding": true, "theme": "dark", "bypassPermissionsModeAccepted": true,
		"projects": {"/var/lib/aaau/agent": {"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true}},
		"customApiKeyResponses": {"approved": ["`+claudeKey[len(claudeKey)-20:]+`"]}}`)
	write(".codex/config.toml", `model = "m"
model_provider = "test"
check_for_update_on_startup = false
[model_providers.test]
name = "test"
base_url = "`+m.URL+`/v1"
wire_api = "responses"
[projects."/var/lib/aaau/agent"]
trust_level = "trusted"
`)
}
