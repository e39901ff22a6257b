package system

import (
	"os"
	"path/filepath"
	"testing"
)

// The key that keeps stored descriptors over a stop is set where systemd knows it,
// and only there: elsewhere systemd would complain at every reload.
func TestGenerator(t *testing.T) {
	begin(t)
	const generator = "/usr/lib/systemd/system-generators/aaau-generator"
	for version, want := range map[string]string{
		"systemd 252 (252.38-1~deb12u1)": "",
		"systemd 253 (253.1)":            "",
		"systemd 254 (v254)":             "[Service]\nFileDescriptorStorePreserve=yes\n",
		"systemd 257 (257.9-1~deb13u1)":  "[Service]\nFileDescriptorStorePreserve=yes\n",
		"something else":                 "",
	} {
		dir := t.TempDir()
		fake := filepath.Join(dir, "systemctl")
		if err := os.WriteFile(fake, []byte("#!/bin/sh\necho '"+version+"'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		r := run(t, as(t, "root").with("PATH="+dir+":/usr/bin:/bin"), generator, dir, dir, dir)
		got, _ := os.ReadFile(filepath.Join(dir, "aaau.service.d", "50-preserve.conf")) // none is as good as empty
		if r.status != 0 || r.stderr != "" || string(got) != want {
			t.Errorf("%s: status %d, %q, %q", version, r.status, r.stderr, got)
		}
	}
}
