package system

import (
	"debug/elf"
	"strings"
	"testing"
)

var programNames = []string{"/usr/bin/aaau", "/usr/sbin/aaau-server", "/usr/libexec/aaau/aaau-launcher"}

// A dynamic one would ask the machine's name services, as root, for what strangers
// say.
func TestProgramsAreStatic(t *testing.T) {
	begin(t)
	for _, name := range programNames {
		f, err := elf.Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s is not static: %v", name, p.Type)
			}
		}
		f.Close()
	}
}

func TestProgramsKnowTheirVersion(t *testing.T) {
	begin(t)
	want := output(t, as(t, "root"), "dpkg-query", "--show", "--showformat=${Version}", "aaau")
	for _, name := range programNames {
		if got := output(t, as(t, "operator"), name, "--version"); !strings.HasSuffix(got, " "+want) {
			t.Errorf("%s says %q, and its package's version is %s", name, got, want)
		}
	}
}

func TestHelpNamesWhatThereIs(t *testing.T) {
	begin(t)
	for _, test := range []struct{ argv, words string }{
		{"aaau --help", "connect kill -s -n -r -p claude codex"},
		{"aaau connect --help", "-s -n -r -p"},
		{"/usr/sbin/aaau-server --help", "run init"},
		{"/usr/sbin/aaau-server run --help", "-s -g -u -l -p -d --lock-file"},
		{"/usr/sbin/aaau-server init --help", "-u -g -s -l -h --shell"},
	} {
		said := output(t, as(t, "operator"), strings.Fields(test.argv)...)
		for _, word := range strings.Fields(test.words) {
			if !strings.Contains(said, word) {
				t.Errorf("%s does not say %s: %s", test.argv, word, said)
			}
		}
	}
}
