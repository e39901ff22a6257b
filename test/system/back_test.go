package system

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// drawing is a program that ends with a screen which takes some drawing, and then waits
// for a key without a trace of it.
const drawing = `
stty -echo
printf '\033[2J\033[H\033]0;a title\a\033[c\033[6n\033]52;c;c2VjcmV0\a'
for i in $(seq 40); do printf 'line %d of those that scroll\r\n' $i; done
printf '\033[?1049h\033[2J\033[12;30Hanother screen\033[?1h\033='; sleep 0.1; printf '\033[?1l\033>\033[?1049l'
printf '\033[5;15r\033[5;1H\033[L\033[1;31mred \033[4munderlined\033[m\033[r'
printf '\033[10;30H\033[38;5;208m\346\274\242\345\255\227 \303\251\033[48;2;20;60;90m box \033[m\033[3;3H'
sleep 2
printf 'the end\r\n'
until [[ $x == x ]]; do read -rsn1 x; done`

// tmux is a person's, with one window of 24 by 80.
type tmux struct {
	t   *testing.T
	who account
}

func inTmux(t *testing.T, who account, command string) tmux {
	t.Helper()
	m := tmux{t, who}
	t.Cleanup(func() { m.do("kill-server") })
	m.do("new-session", "-d", "-x", "80", "-y", "24", "-c", who.home, command)
	m.do("set", "-g", "set-clipboard", "on")
	return m
}

func (m tmux) do(args ...string) string {
	m.t.Helper()
	r := run(m.t, m.who, append([]string{"env", "LC_ALL=C.UTF-8", "tmux", "-u", "-L", "aaau-back", "-f", "/dev/null"}, args...)...)
	return strings.TrimSuffix(r.stdout, "\n")
}

// shows waits until the pane shows this, with attributes.
func (m tmux) shows(what string, is func(screen string) bool) (screen string) {
	m.t.Helper()
	if !eventually(func() bool {
		screen = m.do("capture-pane", "-p", "-e")
		return is(screen)
	}) {
		m.t.Fatalf("in vain waited for %s; tmux shows\n%s", what, screen)
	}
	return screen
}

// A session's last picture is that of its replay, and that of its export in asciinema.
func TestReplay(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	output(t, operator, "bash", "-c", "cat >~/picture <<'EOF'\n"+drawing+"\nEOF")
	t.Cleanup(func() { output(t, operator, "bash", "-c", "rm -f ~/picture ~/cast") })
	pane := inTmux(t, operator, `aaau -- bash -c "$(cat ~/picture)"; sleep 1000`)
	want := pane.shows("the end", func(s string) bool { return strings.Contains(s, "the end") })
	if !strings.Contains(want, "漢字") || !strings.Contains(want, "\x1b[") {
		t.Fatalf("the session shows\n%s", want)
	}
	id := newest(t)
	pane.do("send-keys", "x")
	await(t, "its end", func() bool { return inStatus(t, id, "state") == "ended" })
	// Ended, aaau has given the terminal back, and nothing more.
	if got := pane.do("capture-pane", "-p", "-e"); got != want {
		t.Errorf("after its end the pane shows\n%s", got)
	}
	if got := pane.do("show-buffer"); got != "secret" { // it was driving
		t.Errorf("the clipboard is %q", got)
	}
	pane.do("delete-buffer")
	same := func(s string) bool { return s == want }
	pane.do("respawn-window", "-k", "sleep 1000")
	pane.do("respawn-window", "-k", "echo what was before; aaau replay --idle-limit 0.2 "+id+"; sleep 1000")
	pane.shows("the same picture, by aaau replay:\n"+want, same)
	title := ""
	if !eventually(func() bool { // it shows the last a moment before it ends
		title = pane.do("display", "-p", "#T")
		return !strings.Contains(title, "0:0") && !strings.Contains(title, id)
	}) {
		t.Errorf("the title stays %q", title)
	}
	if got := pane.do("show-buffer"); got != "" {
		t.Errorf("the replay has written to the clipboard: %q", got)
	}
	pane.do("respawn-window", "-k", "sleep 1000")
	pane.shows("nothing", func(s string) bool { return strings.TrimSpace(s) == "" })
	output(t, operator, "bash", "-c", "aaau export -o ~/cast "+id)
	pane.do("respawn-window", "-k", "asciinema play -s 100 ~/cast; sleep 1000")
	pane.shows("the same picture, by asciinema:\n"+want, same)
}

// Who replays has the keys of a player, and their terminal back.
func TestReplayKeys(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := began(t, operator, "/", "--", "bash", "-c", `stty -echo; printf '\033[?1000h\033[?2004hone\r\n'; sleep 0.5; echo two; sleep 1; printf three; sleep 0.1; printf '\033[c'`)
	await(t, "its end", func() bool { return inStatus(t, id, "state") == "ended" })

	c := sit(t, operator, "aaau", "replay", "--speed", "0.01", id)
	c.expect("one")
	c.typed(" ") // long before two
	c.expect("paused")
	c.typed(".")
	c.expect("two")
	c.typed(".")
	c.expect("three")
	c.typed("q")
	c.ends(0)
	// It was taken out of the modes that the program had set.
	if all := c.all(); strings.Contains(all, "\x1b[c") || !regexp.MustCompile(`three(?s:.*)\x1b\[\?1000l`).MatchString(all) || !strings.Contains(all, "\x1b[?2004l") {
		t.Errorf("it has shown %q", all)
	}

	c = sit(t, operator, "aaau", "replay", "--speed", "0.01", id)
	c.expect("one")
	c.typed("\x1b[C") // forward
	c.expect("three")
	c.ends(0)

	c = sit(t, operator, "aaau", "replay", "--speed", "0.01", id)
	c.expect("one")
	c.typed("\x03")
	c.ends(130)

	c = sitAt(t, operator, 10, 40, nil, "aaau", "replay", id)
	c.expect("the recording has 24 rows and 80 columns, and this terminal 10 and 40")
	c.typed("x")
	c.expect("one")
	c.typed("q")
	c.ends(0)

	if r := run(t, operator, "aaau", "replay", "--speed", "1000", id); r.status != 0 || r.stderr != "" || !strings.HasSuffix(r.stdout, "three") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"--speed", "0"}, {"--speed", "x"}, {"--idle-limit", "-1"}, {"--idle-limit", "0"}} {
		if r := run(t, operator, append([]string{"aaau", "replay", id}, args...)...); r.status != 255 {
			t.Errorf("%q: %+v", args, r)
		}
	}
	refused(t, operator, []string{"no session"}, "aaau", "replay", "nosuch")
}

// found is what a search prints, without the times, and the names and directories of sessions.
func found(t *testing.T, who account, args ...string) (lines []string, status int) {
	t.Helper()
	r := run(t, who, append([]string{"aaau", "audit", "search"}, args...)...)
	if r.stderr != "" {
		t.Errorf("%s: %q: %s", who.name, args, r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		f := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} (\S+) \S+ \S+ (.*)$`).FindStringSubmatch(strings.TrimSpace(line))
		if f == nil {
			t.Fatalf("%q", line)
		}
		lines = append(lines, f[1]+" "+f[2])
	}
	return lines, r.status
}

// lines are a session's records, as they stand in its files.
func lines(t *testing.T, id string) string {
	t.Helper()
	var all strings.Builder
	for e, err := range audit.Read(recordDir, id) {
		if err != nil {
			t.Fatal(err)
		}
		all.Write(e.Raw)
		all.WriteByte('\n')
	}
	return all.String()
}

// What was typed and printed is found, by who may know of it; and it is known who looked.
func TestSearchRecord(t *testing.T) {
	begin(t)
	operator, observer, root := as(t, "operator"), as(t, "observer"), as(t, "root")
	since := journalNow(t)
	s := openShell(t, operator)
	s.do("X=typed-needle; echo printed-${X#typed-}")
	await(t, "what it printed in the record", func() bool {
		return strings.Contains(strings.Join(recorded(t, s.id, audit.KindOutput), ""), "printed-needle\r\n")
	})
	is := func(who account, want []string, args ...string) {
		t.Helper()
		got, status := found(t, who, args...)
		if !slices.Equal(got, want) || (status == 0) != (len(want) > 0) || status > 1 {
			t.Errorf("%s finds %q of %q with status %d, and should find %q", who.name, got, args, status, want)
		}
	}
	typed := []string{s.id + ` operator input X=typed-needle; echo printed-${X#typed-}`}
	printed := []string{s.id + " agent output printed-needle"}
	for _, who := range []account{operator, root} {
		is(who, typed, "--kind", "input", "typed-needle")
		is(who, printed, "--kind", "output", "printed-needle")
		is(who, nil, "--session", s.id, "--to", "2020-01-01")
		is(who, nil, "--session", s.id, "--user", "observer")
		is(who, typed, "--session", s.id[:6], "--user", "operator", "--from", "1h", "--kind", "input", "needle")
	}
	// Anybody may watch this session, and sees what it printed.
	is(observer, printed, "printed-needle")
	is(observer, nil, "--kind", "input", "typed-needle")
	hidden := s.id + " operator input (41 bytes, which are not shown: rights)"
	if got, _ := found(t, observer, "--kind", "input", "-n", s.id); !slices.Contains(got, hidden) {
		t.Errorf("the observer finds %q, without %q", got, hidden)
	}
	seen := output(t, observer, "aaau", "export", "-f", "jsonl", s.id)
	if inputs := regexp.MustCompile(`"command_type":"input","content":"([^"]*)"`).FindAllStringSubmatch(seen, -1); len(inputs) < 2 || inputs[1][1] != "" || !strings.Contains(seen, "printed-needle") {
		t.Errorf("the observer gets %s", seen)
	}
	s.close()
	closed := openShell(t, operator, "-C", tree(t, operator, "closed"))
	closed.do("echo private-needle")
	closed.close()
	is(observer, nil, "private-needle")
	refused(t, observer, []string{"no session"}, "aaau", "export", closed.id)
	refused(t, observer, []string{"no session"}, "aaau", "audit", "search", "-n", closed.id)
	refused(t, as(t, "outsider"), []string{"aaau"}, "aaau", "audit", "search")

	// Everything, as it stands in the file.
	file := lines(t, closed.id)
	for _, who := range []account{operator, root} {
		if got := output(t, who, "aaau", "export", "--format", "jsonl", closed.id[:8]); got+"\n" != file {
			t.Errorf("%s exports %d bytes, not the file's %d", who.name, len(got), len(file))
		}
	}
	if got := output(t, operator, "aaau", "export", "-f", "text", closed.id); !strings.Contains(got, "\nprivate-needle\n") || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	var one struct {
		Timestamp float64
		Session   string `json:"session_id"`
		Kind      string `json:"command_type"`
		Text      string
	}
	line := output(t, operator, "aaau", "audit", "search", "--json", "--kind", "output", "private-needle")
	line, _, _ = strings.Cut(line, "\n")
	if err := json.Unmarshal([]byte(line), &one); err != nil || one.Session != closed.id || one.Timestamp == 0 || one.Kind != "output" {
		t.Errorf("%s: %+v, %v", line, one, err)
	}
	// It is found by its directory, also when it has ended.
	ended := output(t, operator, "aaau", "list", "--ended", "--from", "1h", "--json")
	if !strings.Contains(ended, `"id": "`+closed.id+`"`) || !strings.Contains(ended, `/closed"`) || !strings.Contains(ended, `"status": 0`) {
		t.Errorf("%s is not among %s", closed.id, ended)
	}
	if got := output(t, observer, "aaau", "list", "--ended", "--from", "1h", "--json"); strings.Contains(got, closed.id) {
		t.Errorf("the observer sees %s", got)
	}
	// One whose program there was not has not started.
	if r := run(t, operator, "aaau", "-p", "nosuch-needle"); r.status != 127 {
		t.Errorf("%+v", r)
	}
	if got := output(t, operator, "aaau", "list", "--ended"); !regexp.MustCompile(`(?m)  did not start  +-  +nosuch-needle$`).MatchString(got) {
		t.Errorf("%s", got)
	}
	// A terminal's own language is not for a terminal.
	refused(t, operator, []string{"-o"}, "sh", "-c", `test -t 1 || exec aaau export -f raw nosuch -o /nosuch/-o; exec aaau export -f raw `+closed.id)

	looks, _ := found(t, root, "--kind", "control", "-n", closed.id)
	for _, want := range []string{closed.id + " operator control export", closed.id + " root control export"} {
		if !slices.Contains(looks, want) {
			t.Errorf("%q is not recorded: %q", want, looks)
		}
	}
	if slices.ContainsFunc(looks, func(l string) bool { return strings.Contains(l, "observer") }) {
		t.Errorf("it is recorded that the observer saw it: %q", looks)
	}
	if got := journal(t, since, "AAAU_EVENT=look_back", "AAAU_SESSION="+closed.id, "AAAU_USER=operator"); !strings.Contains(got, "looks back: export as jsonl") {
		t.Errorf("the journal has %s", got)
	}
}

// What is exported is complete, also if it takes long, and the bridge dies meanwhile; and
// neither side holds it.
func TestLargeExport(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	out := operator.home + "/large"
	t.Cleanup(func() { os.Remove(out) })
	const size = 40 << 20
	id := began(t, operator, "/", "-T", "--", "sh", "-c", fmt.Sprintf("seq -f 'line %%.0f of very many' 100000000 | head -c %d", size))
	await(t, "its end", func() bool { return inStatus(t, id, "state") == "ended" })
	want, n := printed(t, id, audit.Stdout)
	if n != size {
		t.Fatalf("%d bytes are recorded", n)
	}
	reader := spawn(t, operator, "sh", "-c", "aaau export -f raw "+id+" | (read first; touch "+out+"; read second; until ! test -e "+out+"; do sleep 0.01; done; echo $first; echo $second; cat) | sha256sum")
	await(t, "the first of it", func() bool { _, err := os.Stat(out); return err == nil })
	held := resident(t, mainPID(t, "aaau.service"))
	killBridge(t, 0)
	os.Remove(out)
	if r := reader.result(); r.status != 0 || !strings.HasPrefix(r.stdout, fmt.Sprintf("%x", want)) {
		t.Errorf("%+v, not %x", r, want)
	}
	if held > 100<<20 {
		t.Errorf("the bridge has %d MiB while nobody reads", held>>20)
	}
	// A cast is the same, but for its first line.
	cast := output(t, operator, "sh", "-c", "aaau export "+id+" | tail -n +2 | sha256sum")
	reader = spawn(t, operator, "sh", "-c", "aaau export "+id+" | (read first; touch "+out+"; until ! test -e "+out+"; do sleep 0.01; done; cat) | sha256sum")
	await(t, "the first of it", func() bool { _, err := os.Stat(out); return err == nil })
	killBridge(t, 0)
	os.Remove(out)
	if r := reader.result(); r.status != 0 || strings.TrimSpace(r.stdout) != cast {
		t.Errorf("%+v, not %s", r, cast)
	}
	digest := sha256.New()
	digest.Write([]byte(output(t, operator, "sh", "-c", "aaau export -f raw "+id+" | head -c 10")))
	if got := fmt.Sprintf("%x", digest.Sum(nil)); got != digestOf([]byte("line 1 of ")) {
		t.Error("who reads only the beginning does not get it")
	}
}

// What was changed is found, in the very files; what was not is not.
func TestVerify(t *testing.T) {
	begin(t)
	root, operator := as(t, "root"), as(t, "operator")
	s := openShell(t, operator)
	s.do("echo something")
	live := openShell(t, operator)
	s.close()
	verify := func(args ...string) result {
		t.Helper()
		return run(t, root, append([]string{"aaau-server", "audit", "verify"}, args...)...)
	}
	all := verify() // other tests have had anchors made of chains that never were
	for _, chain := range []string{s.id, live.id, "aaau"} {
		if r := verify(chain); r.status != 0 || !strings.HasPrefix(r.stdout, chain+": ok, ") || r.stderr != "" {
			t.Errorf("%+v", r)
		}
		if !strings.Contains(all.stdout, chain+": ok, ") {
			t.Errorf("%s is not among them: %s", chain, all.stdout)
		}
	}
	await(t, "an anchor of the end", func() bool { return strings.HasSuffix(verify(s.id).stdout, "anchored to the last\n") })
	live.close()

	file := compressed(t, s.id)
	plainFile := strings.TrimSuffix(file, ".zst")
	whole := lines(t, s.id)
	output(t, root, "mv", file, "/root/kept")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(plainFile, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		os.Remove(plainFile)
		output(t, root, "mv", "/root/kept", file)
		if r := verify(s.id); r.status != 0 {
			t.Errorf("put back, it is %+v", r)
		}
	})
	put(whole)
	if r := verify(plainFile); r.status != 0 {
		t.Errorf("as it was: %+v", r)
	}
	lines := slices.Collect(strings.Lines(whole))
	for name, c := range map[string]struct {
		text, says string
	}{
		"changed":  {strings.Replace(whole, "echo something", "echo some-thing", 1), ": changed: "},
		"dropped":  {strings.Join(slices.Delete(slices.Clone(lines), 3, 4), ""), fmt.Sprintf("%s:4: record 4: dropped: ", filepath.Base(plainFile))},
		"inserted": {strings.Join(slices.Insert(slices.Clone(lines), 3, lines[1]), ""), ":4: record 4: inserted: "},
		"cut off":  {strings.Join(lines[:len(lines)-2], ""), fmt.Sprintf("records %d to %d: cut off: ", len(lines)-1, len(lines))},
		"gone":     {"", fmt.Sprintf("records 1 to %d: cut off: ", len(lines))},
	} {
		put(c.text)
		if r := verify(); r.status != 1 || !strings.Contains(r.stdout, s.id+": WRONG: ") || !strings.Contains(r.stdout, c.says) || !strings.Contains(r.stdout, live.id+": ok") {
			t.Errorf("%s: %+v", name, r)
		}
		var d struct {
			State   string
			Problem struct{ Trouble, File string }
		}
		r := verify("--json", s.id)
		if err := json.Unmarshal([]byte(r.stdout), &d); err != nil || r.status != 1 || d.State != "wrong" || d.Problem.Trouble == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// By themselves the files do not show that their end is missing.
	put(strings.Join(lines[:len(lines)-2], ""))
	if r := verify("--no-anchors", s.id); r.status != 0 || !strings.Contains(r.stdout, "not held to anchors") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"nosuch"}, {"/nosuch.jsonl"}, {"--nosuch"}, {"--all", s.id}, {"-l", "/nosuch"}} {
		if r := verify(args...); r.status != 2 || r.stderr == "" && !strings.Contains(r.stdout, "cannot be verified") {
			t.Errorf("%q: %+v", args, r)
		}
	}
	if r := run(t, operator, "/usr/sbin/aaau-server", "audit", "verify"); r.status != 2 || !strings.Contains(r.stderr, "sudo") {
		t.Errorf("%+v", r)
	}
}
