package system

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// With AAAU_RACE the programs are the ones of build/race, which tell of data races: unit
// tests do not see those of the stage and the launcher. They are much slower, and a session
// ends a second later: a stage has no environment to be told otherwise by.

// races is where clients leave what they tell; services tell the journal.
const races = "/tmp/aaau-races"

// raceOptions are GORACE for the programs, empty without AAAU_RACE.
func raceOptions() string {
	if os.Getenv("AAAU_RACE") == "" {
		return ""
	}
	return "GORACE=atexit_sleep_ms=0 log_path=" + races + "/of"
}

// beginRaces has services be such programs from their next start on, and clients leave
// what they tell.
func beginRaces() error {
	if err := errors.Join(os.Mkdir(races, 0o777), os.Chmod(races, 0o777)); err != nil {
		return err
	}
	if out, err := exec.Command("systemctl", "set-environment", "GORACE=atexit_sleep_ms=0").CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl set-environment: %w: %s", err, out)
	}
	return nil
}

// installRaces puts them in the place of those that a package has brought, which tests
// install again.
func installRaces(t *testing.T) {
	t.Helper()
	replaced := false
	for _, place := range []string{"/usr/bin/aaau", "/usr/sbin/aaau-server", "/usr/libexec/aaau/aaau-launcher"} {
		from, err := filepath.Abs("../../build/race/" + filepath.Base(place))
		if err != nil {
			t.Fatal(err)
		}
		ours, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := os.Stat(place); err == nil && is.Size() == ours.Size() {
			continue
		}
		replaced = true
		output(t, as(t, "root"), "cp", "--remove-destination", from, place)
	}
	if replaced {
		systemctl(t, "stop", "aaau.service", "aaau-launcher.service") // which the next connection starts
	}
}

// toldRaces is what the programs have told of data races, all of it.
func toldRaces() (string, error) {
	if out, err := exec.Command("journalctl", "--sync").CombinedOutput(); err != nil {
		return "", fmt.Errorf("journalctl --sync: %w: %s", err, out)
	}
	out, err := exec.Command("journalctl", "--quiet", "--no-pager", "--output=cat", "--identifier=aaau-server", "--identifier=aaau-launcher").Output()
	if err != nil {
		return "", fmt.Errorf("journalctl: %w", err)
	}
	told := string(out)
	files, err := filepath.Glob(races + "/*")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		told += string(text)
	}
	_, told, is := strings.Cut(told, "WARNING: DATA RACE")
	if !is {
		return "", err
	}
	return "WARNING: DATA RACE" + told, err
}
