package bridge

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// Whoever looks at a record that was changed is shown where, and told that it is not whole; what
// is sought and the time of it do not matter.
func TestForgedRecord(t *testing.T) {
	h := start(t, nil)
	s := h.sh("echo one-of-them; read x")
	forged := false
	for until := time.Now().Add(20 * time.Second); !forged && time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		files, err := audit.Files(h.record, s.ID)
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		name := filepath.Join(h.record, files[0])
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// Of the output: what was started has the words too, and no end of a line after them.
		changed := bytes.Replace(text, []byte(`one-of-them\r`), []byte(`two-of-them\r`), 1)
		if forged = !bytes.Equal(text, changed); forged {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(changed, 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !forged {
		t.Fatal("the output is not recorded")
	}
	const why = "its hash is not that of what it says"
	asking := h.asking()
	for _, format := range []string{wire.FormatAsciicast, wire.FormatText, wire.FormatJSONL, wire.FormatRaw} {
		var got bytes.Buffer
		incomplete, err := asking.Export(t.Context(), s.ID, format, &got)
		if err != nil || !strings.Contains(incomplete, why) || strings.Contains(got.String(), why) == (format == wire.FormatRaw) {
			t.Errorf("%s: %q, %q, %v", format, got.String(), incomplete, err)
		}
	}
	marks := 0
	incomplete, err := asking.Search(t.Context(), "", wire.Query{Text: "nothing has this"}, func(f wire.Found) error {
		if f.Kind == string(audit.KindBroken) && f.Session == s.ID && strings.Contains(f.Text, why) {
			marks++
		}
		return nil
	})
	if err != nil || marks != 1 || !strings.Contains(incomplete, why) {
		t.Errorf("%d marks, %q, %v", marks, incomplete, err)
	}
}
