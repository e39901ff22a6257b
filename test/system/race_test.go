package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// With AAAU_RACE the programs are the ones of build/race, which tell of data races: unit
// tests do not see those of the stage and the launcher. They are much slower, and a session
// ends a second later.

// races is where clients leave what they tell; services tell the journal.
const races = "/tmp/aaau-races"

// raceOptions are GORACE for the programs, empty without AAAU_RACE.
func raceOptions() string {
	if os.Getenv("AAAU_RACE") == "" {
		return ""
	}
	return "GORACE=atexit_sleep_ms=0 log_path=" + races + "/of"
}

// installRaceDetector puts them in the place of those that the package has brought.
func installRaceDetector() error {
	if err := os.Mkdir(races, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(races, 0o777); err != nil {
		return err
	}
	for _, place := range []string{"/usr/bin/aaau", "/usr/sbin/aaau-server", "/usr/libexec/aaau/aaau-launcher"} {
		from := filepath.Join("../../build/race", filepath.Base(place))
		if out, err := exec.Command("cp", "--remove-destination", from, place).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	for _, args := range [][]string{
		{"set-environment", "GORACE=atexit_sleep_ms=0"},
		{"stop", "aaau.service", "aaau-launcher.service"}, // which the next connection starts
	} {
		if out, err := exec.Command("systemctl", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl %q: %w: %s", args, err, out)
		}
	}
	return nil
}

// toldRaces is what the programs have told of data races, all of it.
func toldRaces() (string, error) {
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
