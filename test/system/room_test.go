package system

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
)

// A record that cannot be written stops the session before it prints more than is kept,
// and lets it go on when it can; nothing is lost.
func TestFullDisk(t *testing.T) {
	begin(t)
	operator := as(t, "operator")
	onDisk(t, "6M", "record-reserve=2M\n")
	follower := start(t, operator, nil, "follow", "text")
	if got := follower.line(); got != "open" {
		t.Fatal(got)
	}
	id := newest(t)
	await(t, "the session is frozen", func() bool { return inStatus(t, id, "frozen") == "[record]" })
	refused(t, operator, []string{"the record cannot be written", "record-reserve="}, "aaau", "-p", "true")
	refused(t, operator, []string{"cannot be recorded"}, "aaau", "attach", id)
	old := mainPID(t, "aaau.service")
	kill(t, old, syscall.SIGKILL)
	await(t, "who was there is back, with the next bridge", func() bool {
		pid, err := systemctlMay("show", "--value", "--property=MainPID", "aaau.service")
		return err == nil && pid != "0" && pid != strconv.Itoa(old) && inStatus(t, id, "clients") == "1"
	})
	refused(t, operator, []string{"cannot be recorded"}, "aaau", "attach", id)
	output(t, as(t, "root"), "mount", "-o", "remount,size=3G", recordDir)
	await(t, "the session continues", func() bool { return inStatus(t, id, "frozen") == "<nil>" || inStatus(t, id, "frozen") == "" })
	follower.say("stop\n")
	if got := follower.line(); !strings.HasPrefix(got, "whole: ") {
		t.Error(got)
	}
	verified(t, id)
	selfChecked(t, id)
}

// onDisk has the bridge record on a disk of its own, of this size, until the test ends.
func onDisk(t *testing.T, size, configuration string) {
	t.Helper()
	root := as(t, "root")
	configure(t, configuration)
	systemctl(t, "stop", "aaau.socket", "aaau.service")
	output(t, root, "mount", "-t", "tmpfs", "-o", "mode=0750,uid="+output(t, root, "id", "-u", "aaau-bridge")+",size="+size, "tmpfs", recordDir)
	systemctl(t, "start", "aaau.socket")
	t.Cleanup(func() {
		systemctl(t, "stop", "aaau.socket", "aaau.service")
		output(t, root, "umount", recordDir)
		systemctl(t, "start", "aaau.socket")
	})
}

// A session that prints more than it may is frozen, and goes on when an Admin lets it.
func TestRecordBudget(t *testing.T) {
	begin(t)
	configure(t, "record-session-max=4M\n")
	operator := as(t, "operator")
	id := output(t, operator, "aaau", "start", "--", "sh", "-c", "yes 'more and more' | head -c 16000000; echo done; read x")
	times := 0
	await(t, "the session has printed all", func() bool {
		if inStatus(t, id, "frozen") == "[budget]" {
			refused(t, operator, []string{"record-session-max=", "Admin"}, "aaau", "thaw", id)
			output(t, as(t, "root"), "aaau", "thaw", id)
			times++
		}
		return strings.Contains(run(t, operator, "aaau", "peek", id).stdout, "done")
	})
	if times < 2 {
		t.Errorf("it was frozen %d times", times)
	}
	output(t, operator, "aaau", "kill", id)
}

// A session that may print only so much in a second takes its time.
func TestRecordRate(t *testing.T) {
	begin(t)
	configure(t, "record-session-rate=2M\n")
	began := time.Now()
	output(t, as(t, "operator"), "sh", "-c", "aaau -p 'head -c 8000000 /dev/zero' | tail -c 1 >/dev/null")
	if took := time.Since(began); took < 1500*time.Millisecond { // of 8 MB the tape holds half
		t.Errorf("it took %v", took)
	}
}

// Of the record only so much stays as the configuration has it; that more was there is
// known, and no session that goes on loses anything.
func TestRecordExpires(t *testing.T) {
	begin(t)
	operator, since := as(t, "operator"), journalNow(t)
	// of is a session's record, made one of some days ago.
	of := func(id string, days int) {
		t.Helper()
		date := regexp.MustCompile(`\d{4}-\d\d-\d\d`)
		then := time.Now().UTC().AddDate(0, 0, -days).Format(time.DateOnly)
		files, err := filepath.Glob(filepath.Join(recordDir, "sessions", id+"-*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, name := range files {
			if err := os.Rename(name, date.ReplaceAllString(name, then)); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := func(id string) int {
		t.Helper()
		files, err := audit.Files(recordDir, id)
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	ended := func() string {
		t.Helper()
		id := output(t, operator, "aaau", "start", "--", "sh", "-c", "echo done")
		output(t, operator, "aaau", "wait", id)
		compressed(t, id)
		return id
	}
	old, aged, young := ended(), ended(), ended()
	goesOn := output(t, operator, "aaau", "start", "--", "sh", "-c", "echo begun; read x")
	peek(t, goesOn, "begun")
	of(old, 40)
	of(aged, 20)
	of(goesOn, 50)
	systemctl(t, "restart", "aaau.service") // takes the session back, and keeps house
	await(t, "the old one goes", func() bool { return left(old) == 0 })
	if left(aged) != 1 || left(young) != 1 {
		t.Error("after 30 days too much is gone")
	}
	configure(t, "record-days=100\n")
	if err := os.WriteFile("/etc/aaau/aaau.conf.d/90-test.conf", []byte("record-days=7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	systemctl(t, "reload", "aaau.service")
	await(t, "the next goes", func() bool { return left(aged) == 0 })
	if left(young) != 1 || left(goesOn) != 1 {
		t.Error("after 7 days too much is gone")
	}
	if err := os.WriteFile("/etc/aaau/aaau.conf.d/90-test.conf", []byte("record-max=1K\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	systemctl(t, "reload", "aaau.service")
	await(t, "the last goes", func() bool { return left(young) == 0 })
	output(t, operator, "aaau", "send", goesOn, "--enter", "x")
	output(t, operator, "aaau", "wait", goesOn)
	verified(t, goesOn)
	for r, err := range audit.VerifyAll(recordDir, nil) {
		if err != nil || r.Problem != nil {
			t.Error(r.Problem, err)
		}
	}
	for _, want := range []string{" older than 30 days\n", " older than 7 days\n", " for the rest to be no more than 1 MiB\n"} {
		await(t, "the journal to tell of those"+want, func() bool { // it is told when they are gone
			return strings.Contains(journal(t, since, "--output=cat", "AAAU_EVENT=retention"), want)
		})
	}
}
