package shebang

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOf(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"#!/home/ada/.nvm/node\nx\n":            "/home/ada/.nvm/node",
		"#! \t/opt/python -E\n":                 "/opt/python",
		"#!/no/line":                            "/no/line",
		"#!/windows\r\n":                        "/windows\r",
		"#!\n/x\n":                              "",
		"#!":                                    "",
		"":                                      "",
		"\x7fELF":                               "",
		"#!/" + strings.Repeat("x", 300) + "\n": "/" + strings.Repeat("x", 253),
	} {
		name := filepath.Join(dir, "script")
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := Of(name); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{pipe, dir, dir + "/none"} { // and it does not wait
		if got := Of(none); got != "" {
			t.Errorf("%s names %q", none, got)
		}
	}
}
