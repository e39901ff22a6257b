package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/anchor"
	"github.com/AgentaaU/AaaU/pkg/privsep"
)

// askForAnchors asks for one of each of its arguments, CHAIN:SEQ, some times over, in
// one request. It prints the answer.
func askForAnchors(args []string) int {
	var heads []anchor.Head
	for _, arg := range args {
		chain, seq, _ := strings.Cut(arg, ":")
		h := anchor.Head{Chain: chain}
		if _, err := fmt.Sscan(seq, &h.Seq); err != nil {
			fmt.Println(err)
			return 1
		}
		h.Hash = hashOf(h.Seq)
		heads = append(heads, h)
	}
	packet, err := json.Marshal(privsep.Request{Anchor: &privsep.Anchor{Heads: heads}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ask(string(packet), nil)
	return 0
}

func hashOf(seq uint64) string { return fmt.Sprintf("%064x", seq) }

func anchored(t *testing.T, who account, heads ...string) string {
	t.Helper()
	return strings.TrimSpace(run(t, who, append([]string{helper, "anchor"}, heads...)...).stdout)
}

// anchorsOf is what the verifier is told of a chain, as SEQ SOURCE; nothing may be
// doubtful.
func anchorsOf(t *testing.T, chain string) (known []string) {
	t.Helper()
	syncJournal(t)
	all, doubts, err := anchor.Read(context.Background(), anchor.Dir, func(c string) bool { return c == chain })
	if err != nil || len(doubts) > 0 {
		t.Errorf("reading the anchors: %v %v", doubts, err)
	}
	for _, a := range all {
		if a.Hash != hashOf(a.Seq) || time.Since(a.Time).Abs() > lifetime {
			t.Errorf("what was anchored as %d came back as %+v", a.Seq, a)
		}
		source := regexp.MustCompile(`^`+anchor.Dir+`/\d{4}-\d\d-\d\d\.jsonl:\d+`).ReplaceAllString(a.Source, "FILE")
		known = append(known, fmt.Sprintf("%d %s", a.Seq, source))
	}
	return known
}

func knows(t *testing.T, chain string, want ...string) {
	t.Helper()
	if got := anchorsOf(t, chain); strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("of %s is known %q, not %q", chain, got, want)
	}
}

// anchorFile is the youngest.
func anchorFile(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(anchor.Dir + "/*.jsonl")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no anchors: %v", err)
	}
	return names[len(names)-1]
}

func TestAnchors(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	for who, heads := range map[string][]string{"aaau-bridge": {"anchors1:1", "anchors2:7"}, "root": {"anchors1:5"}} {
		a := evil
		if who == "root" {
			a = as(t, who)
		}
		if got := anchored(t, a, heads...); got != "granted" {
			t.Fatalf("%s's request: %q", who, got)
		}
	}
	await(t, "the journal's entries", func() bool {
		return len(strings.Split(journal(t, "-1min", "--output=cat", "AAAU_SESSION=anchors1"), "\n")) == 3
	})
	knows(t, "anchors1", "1 FILE and the journal", "5 FILE and the journal")
	knows(t, "anchors2", "7 FILE and the journal")
	if got := journal(t, "-1min", "--output=json", "AAAU_SESSION=anchors2", "_SYSTEMD_UNIT=aaau-launcher.service"); !strings.Contains(got, `"MESSAGE_ID":"`+anchor.MessageID+`"`) {
		t.Errorf("the journal's entry is %s", got)
	}

	// The launcher is another, and counts on.
	systemctl(t, "restart", "aaau-launcher.service")
	if got := anchored(t, evil, "anchors2:8"); got != "granted" {
		t.Errorf("of another launcher: %q", got)
	}
	if got := anchorsOf(t, "anchors2"); len(got) != 2 {
		t.Errorf("%q", got)
	}

	file := anchorFile(t)
	root := as(t, "root")
	if got := output(t, root, "stat", "-c", "%a %U:%G", anchor.Dir, file); got != "2750 root:aaau-audit\n640 root:aaau-audit" {
		t.Errorf("they are %s", got)
	}
	if got := output(t, root, "lsattr", file); !regexp.MustCompile(`^\S*a\S* `).MatchString(got) {
		t.Errorf("it can be changed: %s", got)
	}
}

// Who obeys nobody but the bridge does not for anchors.
func TestAnchorsAreForTheBridge(t *testing.T) {
	begin(t)
	loosen(t, launcherSocket)
	for _, name := range []string{"operator", "agent", "outsider"} {
		since := journalNow(t)
		refusedByLauncher(t, since, as(t, name), anchored(t, as(t, name), "anchors3:1"))
	}
	knows(t, "anchors3")
}

// The bridge can have anchors made, and none unmade; neither can an agent, nor root by
// mistake.
func TestAnchorsStay(t *testing.T) {
	begin(t)
	if got := anchored(t, evilBridge(t), "anchors4:1"); got != "granted" {
		t.Fatal(got)
	}
	file := anchorFile(t)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	try := func(who account, does string) {
		t.Helper()
		if r := run(t, who, "bash", "-c", does); r.status == 0 {
			t.Errorf("%s: %s: %q", who.name, does, r.stdout)
		}
		now, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(now), string(before)) {
			t.Fatalf("after %s's %s the anchors are others: %v", who.name, does, err)
		}
	}
	for _, name := range []string{"aaau-bridge", "agent", "operator"} {
		who := as(t, name)
		if name == "aaau-bridge" {
			who = evilBridge(t)
		}
		for _, does := range []string{
			"cat " + file, ": >" + file, "echo x >>" + file, "rm -f " + file, "mv " + file + " /tmp", "chattr -a " + file, "chmod 666 " + file,
			"ls " + anchor.Dir, "mv " + anchor.Dir + " " + anchor.Dir + "2", "mv " + filepath.Dir(anchor.Dir) + " /tmp/x", "rmdir " + anchor.Dir,
		} {
			try(who, does)
		}
	}
	for _, does := range []string{": >" + file, "rm -f " + file, "mv " + file + " /tmp", "sed -i s/anchors4/anchors5/ " + file} {
		try(as(t, "root"), does)
	}
	knows(t, "anchors4", "1 FILE and the journal")
}

// Anybody can write the launcher's fields into the journal; whose entry it is, is
// journald's word.
func TestForgedAnchorsAreNotTrusted(t *testing.T) {
	begin(t)
	forge := func(seq int) string {
		return fmt.Sprintf("MESSAGE=anchored\nMESSAGE_ID=%s\nSYSLOG_IDENTIFIER=aaau-launcher\nAAAU_EVENT=anchor\nAAAU_SESSION=anchors6\nAAAU_SEQ=%d\nAAAU_HASH=%s\n"+
			"_UID=0\n_SYSTEMD_UNIT=aaau-launcher.service\n_TRANSPORT=journal\nUNIT=aaau-launcher.service\n", anchor.MessageID, seq, hashOf(uint64(seq)))
	}
	since := journalNow(t)
	for i, who := range []account{evilBridge(t), as(t, "agent"), as(t, "operator"), as(t, "root")} {
		if r := feed(t, who, forge(i+1), "logger", "--journald"); r.status != 0 {
			t.Fatalf("%+v", r)
		}
	}
	if r := feed(t, as(t, "operator"), forge(5), "aaau", "-p", "logger --journald"); r.status != 0 {
		t.Fatalf("in a session: %+v", r)
	}
	// A unit of the launcher's name, but another manager's or another's.
	if r := feed(t, as(t, "root"), forge(6), "systemd-run", "--quiet", "--pipe", "--wait", "--unit=aaau-launcher-forged", "logger", "--journald"); r.status != 0 {
		t.Fatalf("in another unit: %+v", r)
	}
	await(t, "the forged entries", func() bool {
		return strings.Count(journal(t, since, "--output=cat", "AAAU_SESSION=anchors6"), "anchored") == 6
	})
	knows(t, "anchors6")
	if got := anchored(t, evilBridge(t), "anchors6:9"); got != "granted" {
		t.Error(got)
	}
	knows(t, "anchors6", "9 FILE and the journal")
}

// A disk that does not take an anchor is an error, and what it has is kept.
func TestAnchorsThatCannotBeWritten(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	if err := unix.Mount("tmpfs", anchor.Dir, "tmpfs", 0, "size=16k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(anchor.Dir, 0); err != nil {
			t.Error(err)
		}
	})
	if got := anchored(t, evil, "anchors7:1"); got != "granted" {
		t.Error(got)
	}
	fill := anchor.Dir + "/fill"
	if err := os.WriteFile(fill, make([]byte, 12<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range 40 { // together more than what is left of a page
		many = append(many, fmt.Sprintf("anchors7:%d", i+2))
	}
	since := journalNow(t)
	refusedByLauncher(t, since, evil, anchored(t, evil, many...))
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if got := anchored(t, evil, "anchors7:99"); got != "granted" {
		t.Errorf("with room: %q", got)
	}
	first, last := "", ""
	for a, err := range anchor.Files(anchor.Dir) {
		var d *anchor.Doubt
		if errors.As(err, &d) && strings.Contains(d.Why, "torn") {
			continue // of what there was no room for
		}
		if err != nil {
			t.Error(err)
		}
		if last = fmt.Sprint(a.Seq); first == "" {
			first = last
		}
	}
	if first != "1" || last != "99" {
		t.Errorf("the first is %s, the last %s", first, last)
	}
	if err := unix.Mount("", anchor.Dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	since = journalNow(t)
	refusedByLauncher(t, since, evil, anchored(t, evil, "anchors7:100"))
}

// The journal may stand still: anchors are in the file, and the launcher is there for
// others.
func TestAnchorsWithoutAJournal(t *testing.T) {
	begin(t)
	evil := evilBridge(t)
	if got := anchored(t, evil, "anchors8:1"); got != "granted" {
		t.Fatal(got)
	}
	journald := mainPID(t, "systemd-journald.service")
	if err := syscall.Kill(journald, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() {
		if err := syscall.Kill(journald, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	}
	defer goOn()
	seq := 1
	for range 6 {
		var heads []string
		for range anchor.MaxHeads {
			seq++
			heads = append(heads, fmt.Sprintf("anchors8:%d", seq))
		}
		if got := anchored(t, evil, heads...); got != "granted" {
			t.Fatalf("with a journal that stands still: %q", got)
		}
	}
	goOn()
	if got := anchored(t, evil, "anchors8:100000"); got != "granted" {
		t.Error(got)
	}
	await(t, "the last in the journal", func() bool {
		out, err := exec.Command("journalctl", "--quiet", "--output=cat", "AAAU_SESSION=anchors8", "AAAU_SEQ=100000").Output()
		return err == nil && len(out) > 0
	})
	if got := anchorsOf(t, "anchors8"); len(got) != seq+1 {
		t.Errorf("%d anchors of %d", len(got), seq+1)
	}
}
