package system

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// entries are those of the journal since, as journalctl finds them with args. What is no
// string there (an array of bytes, say) is not in them.
func entries(t *testing.T, since string, args ...string) (list []map[string]string) {
	t.Helper()
	for line := range strings.Lines(journal(t, since, append([]string{"--output=json", "--all"}, args...)...)) {
		var all map[string]any
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		e := map[string]string{}
		for name, value := range all {
			if text, ok := value.(string); ok {
				e[name] = text
			}
		}
		list = append(list, e)
	}
	return list
}

// One session's history is found by its id, whoever told it: in fields, in sentences, and
// explained.
func TestJournalIsAnIndex(t *testing.T) {
	begin(t)
	since, operator, observer, root := journalNow(t), as(t, "operator"), as(t, "observer"), as(t, "root")
	s := openShell(t, operator)
	o := sit(t, observer, "aaau", "attach", s.id)
	o.match(promptForm)
	if r := run(t, observer, "aaau", "kill", s.id); r.status == 0 || !strings.Contains(r.stderr, "not allowed") {
		t.Errorf("%+v", r)
	}
	output(t, root, "aaau", "freeze", s.id)
	output(t, root, "aaau", "thaw", s.id)
	o.typed("\x1d\x1d\x1d")
	o.leave()
	await(t, "the watcher to be gone", func() bool { return inStatus(t, s.id, "clients") == "1" })
	s.close()
	// Somebody else's, at the same time.
	output(t, operator, "aaau", "-p", "true")
	of := "AAAU_SESSION=" + s.id
	await(t, "the end in the journal, and its anchor", func() bool {
		return strings.Contains(journal(t, since, "--output=cat", of), " ended: ") && journal(t, since, "--output=cat", of, "AAAU_FINAL=yes") != ""
	})

	var events, told []string
	for _, e := range entries(t, since, of) {
		if e["AAAU_EVENT"] == "anchor" || e["AAAU_EVENT"] == "launch_times" { // of priority debug, and no part of a history
			if e["PRIORITY"] != "7" {
				t.Errorf("%v", e)
			}
			continue
		}
		events = append(events, e["AAAU_EVENT"])
		told = append(told, e["MESSAGE"])
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(e["MESSAGE_ID"]) || e["PRIORITY"] == "" || e["AAAU_PROFILE"] != "shell" {
			t.Errorf("%v", e)
		}
		who := map[string]account{
			"session_start": operator, "session_end": operator, "launch": operator, "denied": observer, "freeze": root, "thaw": root,
		}[e["AAAU_EVENT"]]
		if who.name != "" && (e["AAAU_UID"] != fmt.Sprint(who.uid) || e["AAAU_USER"] != who.name && e["AAAU_EVENT"] != "launch") {
			t.Errorf("%s: %s, %s, and not %s", e["AAAU_EVENT"], e["AAAU_USER"], e["AAAU_UID"], who.name)
		}
		unit, program := "aaau.service", "aaau-server"
		if e["AAAU_EVENT"] == "launch" || e["AAAU_EVENT"] == "control" {
			unit, program = "aaau-launcher.service", "aaau-launcher"
		} else if e["AAAU_AGENT_USER"] != "agent" {
			t.Errorf("%v", e)
		}
		if e["_SYSTEMD_UNIT"] != unit || e["SYSLOG_IDENTIFIER"] != program {
			t.Errorf("%s is of %s, %s", e["AAAU_EVENT"], e["_SYSTEMD_UNIT"], e["SYSLOG_IDENTIFIER"])
		}
		if strings.ContainsAny(e["MESSAGE"], "\x1b\r\n") {
			t.Errorf("%q", e["MESSAGE"])
		}
	}
	want := []string{"attach", "attach", "control", "control", "denied", "detach", "freeze", "launch", "session_end", "session_start", "thaw"}
	if slices.Sort(events); !slices.Equal(events, want) {
		t.Errorf("%q, not %q:\n%s", events, want, strings.Join(told, "\n"))
	}
	if by := entries(t, since, "AAAU_USER=observer", "AAAU_EVENT=denied"); len(by) != 1 || !strings.Contains(by[0]["MESSAGE"], "kill") {
		t.Errorf("what the observer was refused: %v", by)
	}

	// Anybody may write such fields; not as the bridge.
	outsider := as(t, "outsider")
	if r := feed(t, outsider, "MESSAGE=forged\nAAAU_EVENT=session_end\n"+of+"\n", "logger", "--journald"); r.status != 0 {
		t.Errorf("%+v", r)
	}
	if all := journal(t, since, "--output=cat", of); !strings.Contains(all, "forged") {
		t.Errorf("%q", all)
	}
	if honest := journal(t, since, "--output=cat", "--unit=aaau", of); strings.Contains(honest, "forged") || !strings.Contains(honest, " ended: ") {
		t.Errorf("%q", honest)
	}

	explained := journal(t, since, "--catalog", "--unit=aaau", "--unit=aaau-launcher", of)
	for _, text := range []string{
		"Subject: Session " + s.id + " started", "Subject: Session " + s.id + " ended", "Subject: observer was refused something",
		"Subject: The launcher made session " + s.id, "journalctl AAAU_SESSION=" + s.id + "\n", "aaau status " + s.id + "\n",
		"Subject: The record of " + s.id + " is anchored", "journalctl AAAU_UID=" + fmt.Sprint(observer.uid) + "\n", "systemctl edit aaau-shell-.scope\n", "man:aaau-server(8)",
	} {
		if !strings.Contains(explained, text) {
			t.Errorf("journalctl -x does not say %q", text)
		}
	}
	if left := regexp.MustCompile(`@[A-Z_]+@`).FindString(explained); left != "" || t.Failed() {
		t.Errorf("%s stayed in:\n%s", left, explained)
	}
}

// A journal that takes nothing for a while keeps nobody waiting, and nothing is lost
// unsaid: what is in the record is in the journal, or among what is said to be lost.
func TestJournalStalls(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	id := output(t, operator, "aaau", "start", "--", "sleep", "1000") // both services run
	since, before := journalNow(t), records(t)
	journald := mainPID(t, "systemd-journald.service")
	if err := syscall.Kill(journald, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goesOn := func() { _ = syscall.Kill(journald, syscall.SIGCONT) }
	t.Cleanup(goesOn)

	const many = 12000 // more than the kernel and the bridge keep
	began := time.Now()
	for range many / 2 { // each comes and goes
		s, err := client.Open(t.Context(), serverSocket, wire.OpenRequest{Attach: id, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	t.Logf("%d come and go in %v", many/2, time.Since(began))
	var took []time.Duration
	for range 10 {
		began := time.Now()
		output(t, operator, "aaau", "-p", "true")
		took = append(took, time.Since(began))
	}
	slices.Sort(took) // others may disturb some
	t.Logf("ten starts took %v", took)
	if took[len(took)/2] > 3*time.Second {
		t.Errorf("sessions took %v", took)
	}
	inASecond := func() time.Duration {
		used := func() time.Duration { return cpuTime(t, "aaau.service") + cpuTime(t, "aaau-launcher.service") }
		earlier := used()
		time.Sleep(time.Second) // it is about what they do in a second
		return used() - earlier
	}
	used := time.Duration(0)
	if !eventually(func() bool { used = inASecond(); return used <= 300*time.Millisecond }) { // all who came have gone
		t.Errorf("while they wait for the journal they use %v of a second", used)
	}
	t.Logf("waiting for the journal takes %v of a second", used)

	goesOn()
	all, came, lost, said := 0, 0, 0, 0
	eventually(func() bool {
		all, came, lost = records(t)-before, 0, 0
		for _, e := range entries(t, since, "_SYSTEMD_UNIT=aaau.service") {
			switch {
			case e["AAAU_EVENT"] == "entries_lost":
				lost += int(number(t, e["AAAU_LOST"]))
			case e["AAAU_EVENT"] != "":
				came++
			case strings.HasPrefix(e["MESSAGE"], "the journal takes no entries"):
				said++
			}
		}
		return all >= many && came+lost >= all
	})
	t.Logf("%d records, %d entries, %d lost", all, came, lost)
	if came+lost != all || all < many || lost == 0 || said == 0 {
		t.Errorf("of %d records %d are in the journal, and %d are said to be lost, %d times on stderr", all, came, lost, said)
	}
	output(t, operator, "aaau", "kill", id)
	if said := journal(t, since, "--catalog", "AAAU_EVENT=entries_lost"); !regexp.MustCompile(`Subject: \d+ entries are not in the journal`).MatchString(said) {
		t.Errorf("journalctl -x: %s", said)
	}
}

// Who is refused things without end fills neither the record nor the journal, nor has the
// journal leave out what else the bridge tells; and each refusal is counted in both.
func TestManyRefusals(t *testing.T) {
	begin(t)
	output(t, as(t, "operator"), "aaau", "-p", "true")
	since := journalNow(t)
	began := time.Now()
	const many = 12000 // more than journald takes of one service in half a minute
	for range many {
		if s, err := client.Open(t.Context(), serverSocket, wire.OpenRequest{Attach: "nosuch"}); err == nil {
			s.Close()
			t.Fatal("there is such a session")
		}
	}
	took := time.Since(began)
	output(t, as(t, "root"), "systemctl", "restart", "aaau.service") // it tells what it has held back
	id := output(t, as(t, "operator"), "aaau", "start", "--", "true")
	records, refused := 0, 0
	for e, err := range audit.Search(recordDir, audit.Query{Kinds: []audit.Kind{audit.KindDenied}, From: began}) {
		if err != nil {
			t.Fatal(err)
		}
		var d audit.Denied
		if err := json.Unmarshal(e.Metadata, &d); err != nil {
			t.Fatal(err)
		}
		records++
		refused += max(d.More, 1)
	}
	told := len(entries(t, since, "_SYSTEMD_UNIT=aaau.service", "AAAU_EVENT=denied"))
	t.Logf("%d refusals in %v are %d records, and %d entries in the journal", many, took, records, told)
	if refused != many || told != records || records > 1000 {
		t.Errorf("of %d refusals %d are told in %d records, and %d entries", many, refused, records, told)
	}
	if len(entries(t, since, "AAAU_EVENT=session_start", "AAAU_SESSION="+id)) != 1 {
		t.Error("the journal has not what came after them")
	}
}

// records is how many there are.
func records(t *testing.T) (n int) {
	t.Helper()
	for e, err := range audit.Search(recordDir, audit.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case audit.KindSessionStart, audit.KindSessionEnd, audit.KindAttach, audit.KindDetach, audit.KindDenied:
			n++
		}
	}
	return n
}

// Every kind of entry is explained on this machine too, with the package's own catalog.
func TestCatalogIsInstalled(t *testing.T) {
	begin(t)
	text, err := os.ReadFile("/usr/lib/systemd/catalog/aaau.catalog")
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`(?m)^-- ([0-9a-f]{32})$`).FindAllStringSubmatch(string(text), -1)
	if len(ids) == 0 {
		t.Fatal("the catalog is empty")
	}
	for _, id := range ids {
		out, err := exec.Command("journalctl", "--dump-catalog", id[1]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Defined-By: AaaU") {
			t.Errorf("%s: %v: %s", id[1], err, out)
		}
	}
}
