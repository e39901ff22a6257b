package audit

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What docs/audit.md gives to an auditor, who has none of our programs, does what it
// says there.
func TestIndependentCheck(t *testing.T) {
	text := contents(t, filepath.Join("..", "..", "docs", "audit.md"))
	_, script, found := strings.Cut(text, "```python\n")
	script, _, found2 := strings.Cut(script, "```\n")
	if !found || !found2 {
		t.Fatal("docs/audit.md has no script")
	}
	dir := t.TempDir()
	sample(t, dir, 3000)
	run := func(record []byte, program string, args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Stdin = bytes.NewReader(record)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, chain := range []string{BridgeChain, "s1"} {
		var b bytes.Buffer
		ok(t, JSONL(&b, Read(dir, chain)))
		record := b.Bytes()
		all := entries(t, dir, chain)
		last := all[len(all)-1]
		if out, err := run(record, "python3", "-c", script); err != nil || !strings.HasSuffix(out, "records, the last is "+last.Hash.String()+"\n") {
			t.Errorf("%s: %v: %s", chain, err, out)
		}
		if rest := record[bytes.IndexByte(record, '\n')+1:]; true {
			if out, err := run(rest, "python3", "-c", script); err != nil || !strings.HasPrefix(out, "begins after record 1, "+all[0].Hash.String()) {
				t.Errorf("%s: %v: %s", chain, err, out)
			}
		}
		for what, bad := range map[string][]byte{
			"an edit":    bytes.Replace(record, []byte("operator"), []byte("0perator"), 1),
			"a deletion": append(bytes.Clone(all[0].Raw), record[len(all[0].Raw)+1+len(all[1].Raw):]...),
		} {
			if out, err := run(bad, "python3", "-c", script); err == nil {
				t.Errorf("%s: %s goes unnoticed: %s", chain, what, out)
			}
		}
	}
	// The line in the shell.
	_, command, found := strings.Cut(text, "    sed -n 12p FILE | ")
	command, _, _ = strings.Cut(command, "\n")
	e := entries(t, dir, "s1")[11]
	out, err := run(append(bytes.Clone(e.Raw), '\n'), "sh", "-c", command)
	if !found || err != nil || out != e.Hash.String()+"  -\n" {
		t.Errorf("%s: %v: %s, want %s", command, err, out, e.Hash)
	}
}

// Every kind, field and word of the schema is in the documentation.
func TestDocumented(t *testing.T) {
	text := contents(t, filepath.Join("..", "..", "docs", "audit.md"))
	dir := t.TempDir()
	sample(t, dir, 3000)
	for _, e := range append(entries(t, dir, BridgeChain), entries(t, dir, "s1")...) {
		if !strings.Contains(text, "| `"+string(e.Kind)+"` |") {
			t.Errorf("kind %s is not in docs/audit.md", e.Kind)
		}
	}
}
