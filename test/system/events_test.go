package system

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listener is somebody's aaau events.
type listener struct {
	*spawned
	told int // lines that were looked at
}

// listen starts aaau events, and returns when it tells what happens.
func listen(t *testing.T, who account, args ...string) *listener {
	t.Helper()
	l := &listener{spawned: spawn(t, who, append([]string{"aaau", "events"}, args...)...)}
	await(t, "the first event", func() bool {
		run(t, who, "aaau", "-t", "--", "sh", "-c", `printf '\a'`) // all happens in it that listeners here wait for
		return l.stdout() != ""
	})
	return l
}

// next is the next event of a session that it tells.
func (l *listener) next(session string) (event object) {
	l.t.Helper()
	await(l.t, "an event of session "+session, func() bool {
		lines := strings.SplitAfter(l.stdout(), "\n")
		for l.told < len(lines)-1 {
			event = nil
			if err := json.Unmarshal([]byte(lines[l.told]), &event); err != nil {
				l.t.Fatalf("no line of JSON: %q", lines[l.told])
			}
			l.told++
			if event["session"] == session {
				return true
			}
		}
		return false
	})
	return event
}

// shows an event as its members, without those that differ from time to time.
func (o object) shows() string {
	var parts []string
	for name, value := range o {
		switch name {
		case "time", "session", "client":
			parts = append(parts, name)
		default:
			parts = append(parts, fmt.Sprintf("%s=%v", name, value))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func TestEvents(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	shop := tree(t, operator, "shop")
	l, foreign := listen(t, operator), listen(t, observer)
	s := openShell(t, operator, "-C", shop)
	about := fmt.Sprintf("name=shop owner=%d profile=shell session time", operator.uid)
	by := func(who account) string { return fmt.Sprintf("uid=%d user=%s", who.uid, who.name) }
	expect := func(format string, args ...any) {
		t.Helper()
		want := strings.Fields(fmt.Sprintf(format, args...) + " " + about)
		got := strings.Fields(l.next(s.id).shows())
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("an event is\n%q, not\n%q", got, want)
		}
	}
	expect("kind=start client message=bash %s", by(operator))
	expect("kind=attach client role=Interactive %s", by(operator))
	output(t, operator, "aaau", "share", "-r", s.id, "observer")
	expect("kind=share client role=ReadOnly message=observer %s", by(operator))
	o := sit(t, observer, "aaau", "attach", s.id)
	expect("kind=attach client role=ReadOnly %s", by(observer))
	o.match(promptForm)
	o.typed("\x1d\x1d\x1d")
	o.ends(0)
	expect("kind=detach client %s", by(observer))
	output(t, operator, "aaau", "unshare", s.id, "observer")
	expect("kind=unshare client role=ReadOnly message=observer %s", by(operator))

	output(t, operator, "aaau", "freeze", s.id)
	expect("kind=freeze message=frozen by operator; to let it continue: aaau thaw %s client %s", s.id, by(operator))
	output(t, operator, "aaau", "thaw", s.id)
	expect("kind=thaw message=thawed by operator client %s", by(operator))
	output(t, operator, "aaau", "kill", "--signal", "CONT", s.id)
	expect("kind=kill message=SIGCONT client %s", by(operator))
	output(t, as(t, "root"), "aaau", "kill", s.id)
	expect("kind=kill message=SIGTERM client %s", by(as(t, "root")))
	end := l.next(s.id)
	if end["kind"] != "end" || fmt.Sprint(end["ended"]) != "map[code:0 signal:1]" || end["message"] == "" {
		t.Errorf("its end: %v", end)
	}
	s.ends(129)
	detach := began(t, operator, "/", "--", "sh", "-c", "exit 7")
	if got := l.next(detach); got["kind"] != "start" {
		t.Errorf("%v", got)
	}
	if got := l.next(detach); got["kind"] != "end" || fmt.Sprint(got["ended"]) != "map[code:7]" {
		t.Errorf("%v", got)
	}

	// Who may not see a session hears of what it was shared for, and of nothing else.
	foreign.next(detach)
	kinds := ""
	for line := range strings.Lines(foreign.stdout()) {
		var e object
		if json.Unmarshal([]byte(line), &e) == nil && e["session"] == s.id {
			kinds += fmt.Sprint(e["kind"], " ")
		}
	}
	if kinds != "share attach detach " {
		t.Errorf("somebody else heard %q", kinds)
	}
	for _, l := range []*listener{l, foreign} {
		kill(t, l.cmd.Process.Pid, 15)
		if r := l.result(); r.status != 0 || r.stderr != "" {
			t.Errorf("after SIGTERM: status %d, stderr %q", r.status, r.stderr)
		}
	}
}

func TestAttention(t *testing.T) {
	begin(t)
	operator, observer := as(t, "operator"), as(t, "observer")
	shop := tree(t, operator, "shop")
	only, mine, theirs := listen(t, operator, "--only", "attention"), listen(t, operator, "--mine", "--only", "attention", "--only", "end"), listen(t, observer, "--mine")
	for _, test := range []struct{ says, title, message string }{
		{`\a`, "", "the bell"},
		{`\033]9;come here\a`, "", "come here"},
		{`\033]9;4;1;50\a\033]9;then\033\\`, "", "then"}, // the first is a progress bar
		{`\033]777;notify;A title;the text; of it\a`, "A title", "the text; of it"},
		{`\033]99;;just this\033\\`, "just this", ""},
		{`\033]99;p=body;a body\033\\`, "", "a body"},
		{`\033]2;no bell of its own\a\033]9;really\a`, "", "really"},
		{`\a'; sleep .3; printf '\033]9;needs your answer\a`, "", "needs your answer"},
		{`\033]9;first\a\033]777;notify;A title;and text\a\a`, "A title", "and text"},
		{`\033]9;red \033[31m\001\tand\302\240\342\200\256more\a`, "", ""},
	} {
		id := began(t, operator, shop, "-C", ".", "--", "sh", "-c", "printf '"+test.says+"'; read x")
		for _, l := range []*listener{only, mine} {
			e := l.next(id)
			title, _ := e["title"].(string)
			message, _ := e["message"].(string)
			if e["kind"] != "attention" || e["user"] != nil || title != test.title || message != test.message && test.message+test.title != "" {
				t.Errorf("%q is told as %v", test.says, e)
			}
			if text := title + message; strings.ContainsAny(text, "\x1b\x01\t\u202e") {
				t.Errorf("%q is told as %q", test.says, text)
			}
		}
		output(t, operator, "aaau", "kill", id)
		if e := mine.next(id); e["kind"] != "end" {
			t.Errorf("%v", e)
		}
	}

	// Once a second at most; and with pipes the bytes are nobody's bell.
	loud := began(t, operator, "/", "--", "sh", "-c", `i=0; while [ $i -lt 1000 ]; do printf '\a'; i=$((i+1)); done`)
	run(t, operator, "aaau", "wait", loud)
	piped := began(t, operator, "/", "-T", "--", "printf", `\a`)
	e := mine.next(loud)
	if e["kind"] != "attention" {
		t.Errorf("%v", e)
	}
	for rings := 1; e["kind"] != "end"; rings++ {
		if e = mine.next(loud); rings > 5 {
			t.Fatal("it rings and rings")
		}
	}
	if e := mine.next(piped); e["kind"] != "end" {
		t.Errorf("%v", e)
	}
	last := began(t, observer, "/", "--", "true")
	theirs.next(last)
	for line := range strings.Lines(theirs.stdout()) {
		if !strings.Contains(line, fmt.Sprintf(`"owner":%d,`, observer.uid)) {
			t.Errorf("--mine told of somebody else's: %s", line)
		}
	}
	for _, line := range strings.Split(only.stdout(), "\n") {
		if line != "" && !strings.Contains(line, `"kind":"attention"`) {
			t.Errorf("--only told %s", line)
		}
	}
}

func TestEventsRefuse(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	refused(t, operator, []string{`"more"`}, "aaau", "events", "more")
	refused(t, operator, []string{"nosuchkind"}, "aaau", "events", "--only", "nosuchkind")
	refused(t, as(t, "outsider"), []string{"usermod"}, "aaau", "events")
}

// hostile is what an agent may say in the hope that somebody's shell runs it.
const hostile = "$(touch /tmp/pwned) `touch /tmp/pwned` '; touch /tmp/pwned; ' \"; touch /tmp/pwned; \" | touch /tmp/pwned & -x --help %s %n \\ \u202e*"

func TestCommandsForEvents(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	dir := tree(t, operator, "events")
	l := listen(t, operator, "--only", "attention", "--exec",
		`cat >`+dir+`/input.$AAAU_ID; printf '%s\n' "$AAAU_KIND" "$AAAU_ID" "$AAAU_NAME" "$AAAU_PROFILE" "$AAAU_USER" "$AAAU_TITLE" "$AAAU_MESSAGE" >`+dir+`/new; mv `+dir+`/new `+dir+`/$AAAU_ID; echo ran; echo a word >&2`)
	id := began(t, operator, "/", "--name", "agent", "--", "printf", "\033]777;notify;%s;%s\a", hostile, "the text")
	var text []byte
	await(t, "the command", func() (done bool) {
		var err error
		text, err = os.ReadFile(filepath.Join(dir, id))
		return err == nil
	})
	// The notice's end is the first ; of its title.
	title, message, _ := strings.Cut(hostile, ";")
	message = strings.ReplaceAll(message, "\u202e", "") + ";the text"
	want := strings.Join([]string{"attention", id, "agent", "shell", "", title, message}, "\n")
	if string(text) != want+"\n" {
		t.Errorf("the variables are\n%q, not\n%q", text, want)
	}
	input, err := os.ReadFile(filepath.Join(dir, "input."+id))
	var e object
	if err != nil || json.Unmarshal(input, &e) != nil || e["kind"] != "attention" || e["title"] != title {
		t.Errorf("the input is %q, %v", input, err)
	}
	if _, err := os.Stat("/tmp/pwned"); err == nil {
		t.Error("what an agent said was run")
	}
	kill(t, l.cmd.Process.Pid, 2)
	if r := l.result(); r.status != 0 || !strings.HasPrefix(r.stdout, "ran\n") || !strings.HasPrefix(r.stderr, "a word\n") {
		t.Errorf("%+v", r)
	}

	// A command that fails is told, and the next is run.
	l = listen(t, operator, "--exec", `echo ran; exit 3`)
	began(t, operator, "/", "--", "true")
	await(t, "more commands", func() bool { return strings.Count(l.stdout(), "ran\n") > 3 })
	kill(t, l.cmd.Process.Pid, 15)
	if r := l.result(); r.status != 0 || !strings.HasPrefix(r.stderr, "aaau: --exec: exit status 3\n") {
		t.Errorf("%+v", r)
	}
}

// The unit as systemd reads it, for operator, with a notify-send that writes down
// what it is to show.
func TestNotifications(t *testing.T) {
	begin(t)
	const unit = "/usr/lib/systemd/user/aaau-notify.service"
	root, operator := as(t, "root"), as(t, "operator")
	if r := run(t, root.with("XDG_RUNTIME_DIR=/run"), "systemd-analyze", "--user", "verify", unit); r.status != 0 || r.stdout+r.stderr != "" {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	dir := tree(t, operator, "desktop")
	notes := filepath.Join(dir, "notes")
	file(t, filepath.Join(dir, "notify-send"), "#!/bin/sh\nfor a; do all=\"$all[$a]\"; done; printf '%s\\n' \"$all\" >>"+notes+"\n")
	const here = "/run/systemd/system/aaau-notify-test.service"
	drop := fmt.Sprintf("\n[Service]\nUser=operator\nEnvironment=PATH=%s:/usr/bin:/bin\n", dir)
	if err := os.WriteFile(here, append(text, drop...), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		systemctl(t, "stop", filepath.Base(here))
		os.Remove(here)
		systemctl(t, "daemon-reload")
	})
	systemctl(t, "daemon-reload")
	systemctl(t, "start", filepath.Base(here))
	shown := func(text string) bool {
		all, _ := os.ReadFile(notes) // it may not be there yet
		return strings.Contains(string(all), text)
	}
	await(t, "the first notification", func() bool {
		run(t, operator, "aaau", "-t", "--", "printf", `\a`)
		return shown("[--app-name=AaaU][--][")
	})
	began(t, operator, "/", "--name", "shop", "--", "printf", `\033]9;-%% shall I go on? $(touch /tmp/pwned)\a`)
	await(t, "the words", func() bool {
		return shown("[--app-name=AaaU][--][shop (shell)][-% shall I go on? $(touch /tmp/pwned)]\n")
	})
	id := began(t, operator, "/", "--", "printf", `\033]777;notify;A title;the text\a`)
	await(t, "the words", func() bool { return shown("[--app-name=AaaU][--][" + id + " (shell)][A title: the text]\n") })
	id = began(t, operator, "/", "--", "sh", "-c", "exit 3")
	await(t, "the end", func() bool { return shown("[" + id + " (shell)][exit status 3]\n") })
	if _, err := os.Stat("/tmp/pwned"); err == nil {
		t.Error("what an agent said was run")
	}

	// The next bridge is listened to as well, and its coming is nothing to be shown.
	systemctl(t, "restart", "aaau.service")
	before, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "a notification by the next bridge", func() bool {
		run(t, operator, "aaau", "-t", "--", "sh", "-c", "exit 42")
		return shown("[exit status 42]\n")
	})
	if all, _ := os.ReadFile(notes); strings.Contains(string(all[len(before):]), "restart") || strings.Contains(string(all), "[ ()]") {
		t.Errorf("it showed %q", all[len(before):])
	}
}
