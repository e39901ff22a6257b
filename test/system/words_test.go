package system

import (
	"os"
	"strings"
	"testing"
	"time"
)

// boxer draws a box from border to border beneath what is there, and draws it again with
// each key that is typed, as agents do.
const boxer = `box() { printf '╭%s╮\r\n│ > %-*s│\r\n╰%s╯\033[1A\033[%dG' "$line" $((cols - 5)) "$text" "$line" $((5 + ${#text})); }
cols=$(stty size | cut -d' ' -f2); line=$(printf '─%.0s' $(seq $((cols - 2)))); stty raw -echo; box
while IFS= read -rn1 key; do text+=$key; printf '\033[1A\r\033[J'; box; done`

// What is said during a session stands on the screens of all who look at it for some seconds,
// while the program goes on to draw, and then all of these are what they would be without.
func TestWordsOnTheScreen(t *testing.T) {
	operator := as(t, "operator")
	for name, c := range map[string]struct {
		argv                  []string
		ready, keys, answered string
	}{
		"vim":     {[]string{"vim", "-u", "NONE", "-i", "NONE", "+set noswapfile ruler", "+call setline(1, range(100))"}, `0,0-1|1,1`, "5Goword\x1b", `word`},
		"a box":   {[]string{"bash", "-c", boxer}, `╰─+╯`, "word", `> word +│`},
		"a shell": {[]string{"bash", "--norc", "--noprofile"}, `\$$`, "echo word\r", `^word`},
	} {
		t.Run(name, func(t *testing.T) {
			begin(t)
			t.Cleanup(func() { run(t, operator, "aaau", "kill", "worded") })
			w := newWall(t, operator)
			driver := w.open(t, 8, 60, append([]string{"aaau", "--no-workspace", "--name", "worded", "--"}, c.argv...)...)
			driver.shows(t, c.ready)
			grant(t, "user=observer readonly")
			watcher := newWall(t, as(t, "observer"))
			same := watcher.open(t, 8, 60, "aaau", "attach", "worded")
			large := w.open(t, 15, 90, "aaau", "attach", "-r", "worded")
			small := w.open(t, 5, 30, "aaau", "attach", "-r", "worded")
			all := []*pane{driver, same, large, small}
			for _, p := range all[1:] {
				p.shows(t, `\S`)
			}
			gone := func(p *pane) {
				t.Helper()
				await(t, "words to go", func() bool { return !strings.Contains(p.text(t), "aaau: ") })
			}

			output(t, operator, "aaau", "freeze", "worded")
			for _, p := range all {
				p.shows(t, `aaau: frozen by`)
			}
			output(t, operator, "aaau", "thaw", "worded")
			for _, p := range all {
				p.shows(t, `aaau: thawed by`)
			}
			driver.typed(t, c.keys)
			for _, p := range all[:2] {
				p.shows(t, c.answered)
			}
			same.typed(t, "q")
			same.shows(t, `aaau: typing is not allowed`)
			if text := driver.text(t); strings.Contains(text, "not allowed") {
				t.Errorf("the driver is told, too:\n%s", text)
			}
			for _, p := range all[1:] {
				gone(p)
			}
			// The driver's own terminal has the client's first line above, for a program that does
			// not clear it.
			await(t, "words to go", func() bool { return !strings.Contains(driver.text(t), "thawed by") })
			fresh := w.open(t, 8, 60, "aaau", "attach", "-r", "worded")
			fresh.same(t, "who came later", same)
			again := w.open(t, 15, 90, "aaau", "attach", "-r", "worded")
			again.same(t, "on a larger terminal", large)
			if name == "vim" {
				// Behind the alternate screen there is what the driver's terminal showed before.
				if d := w.differLines(fresh.picture(t).screen, driver.picture(t).screen); d != "" {
					t.Errorf("who came later and the driver: %s", d)
				}
				return
			}
			is := strings.TrimRight(driver.tmux(t, "capture-pane", "-p", "-S", "-", "-t", driver.id), "\n ")
			if want := strings.TrimRight(fresh.text(t), "\n "); !strings.HasSuffix(is, "\n"+want) {
				t.Errorf("the driver sees\n%s\nand who came later\n%s", is, want)
			}
			if n := strings.Count(is, "╭"); name == "a box" && n != 1 {
				t.Errorf("there are %d boxes", n)
			}
		})
	}
}

// Who leaves while words stand leaves none behind; and while there is no bridge, the
// window's title says so, and nothing else does.
func TestWordsAreLeftBehindByNobody(t *testing.T) {
	begin(t)
	configure(t, "")
	operator := as(t, "operator")
	w := newWall(t, operator)
	const id = "boxer"
	p := w.open(t, 8, 60, "sh", "-c", `aaau --no-workspace --name boxer -- bash -c "$0"; exec cat`, boxer)
	p.shows(t, `╰─+╯`)
	output(t, operator, "aaau", "freeze", id)
	p.shows(t, `aaau: frozen by`)
	output(t, operator, "aaau", "thaw", id)
	p.shows(t, `aaau: thawed by`)
	p.typed(t, "\x1d\x1d\x1d")
	p.shows(t, `aaau: detached`)
	if text := p.text(t); strings.Contains(text, "thawed by") || strings.Contains(text, "frozen by") || strings.Count(text, "╭") != 1 {
		t.Errorf("who left sees\n%s", text)
	}

	p = w.open(t, 8, 60, "aaau", "attach", id)
	p.shows(t, `╰─+╯`)
	before := p.picture(t)
	title := func() string { return p.tmux(t, "display-message", "-p", "-t", p.id, "#{pane_title}") }
	was := title()
	const file = "/etc/aaau/aaau.conf.d/90-test.conf"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { write("") }) // before it is removed, and the bridge restarted
	write("nosuch=1\n")
	killBridge(t, 0)
	await(t, "the title to tell of it", func() bool { return strings.Contains(title(), "the bridge does not start") })
	time.Sleep(2500 * time.Millisecond) // the very thing: it is away for longer than is worth no word
	if d := w.differ(before, p.picture(t)); d != "" && !strings.HasPrefix(d, "state") {
		t.Errorf("without a bridge the screen differs: %s", d)
	}
	write("")
	p.shows(t, `aaau: the bridge was away for \d+ s`)
	if got := title(); got != was {
		t.Errorf("the title was %q, and is %q", was, got)
	}
	p.typed(t, "word")
	p.shows(t, `> word +│`)
	await(t, "words to go", func() bool { return !strings.Contains(p.text(t), "aaau: ") })
	fresh := w.open(t, 8, 60, "aaau", "attach", "-r", id)
	fresh.same(t, "who was there all the time", p)
	output(t, operator, "aaau", "kill", id)
}
