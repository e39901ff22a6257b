package main

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/wire"
)

// What a person may meet who mistypes, or is nowhere: each says which thing, and what to do.
func TestMeant(t *testing.T) {
	unknown := &wire.ErrorNote{Code: "unknown-profile", Message: "unknown alias"}
	for alias, want := range map[string]string{
		"statsu": `unknown command or alias "statsu": did you mean aaau status?`,
		"lits":   `unknown command or alias "lits": did you mean aaau list?`,
		"atach":  `unknown command or alias "atach": did you mean aaau attach?`,
		"init":   `unknown command or alias "init": administrators have sudo aaau-server init`,
		"gemini": "unknown alias",
	} {
		if got := meant(alias, unknown).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: %s", alias, got)
		}
	}
	if other := errors.New("statsu"); meant("statsu", other) != other {
		t.Error("another error is changed")
	}
}

func TestCurrentDirectory(t *testing.T) {
	for want, err := range map[string]error{
		"has been removed: go to another (cd)":       &fs.PathError{Op: "getwd", Err: fs.ErrNotExist},
		"you may not look into the directory that y": &fs.PathError{Op: "stat", Path: ".", Err: fs.ErrPermission},
		"which directory you are in: odd":            errors.New("odd"),
	} {
		if got := currentDirectory(err).Error(); !strings.Contains(got, want) || strings.Contains(got, "getwd") || strings.Contains(got, "stat .") {
			t.Errorf("%v: %s", err, got)
		}
	}
}

func TestADirectoryIsNotPut(t *testing.T) {
	dir := t.TempDir()
	if f, err := sealed(dir); err == nil || !strings.Contains(err.Error(), dir+" is a directory, and put takes one file") {
		t.Errorf("%v, %v", f, err)
	}
}

func TestInLine(t *testing.T) {
	for text, want := range map[string]string{"❯ hello      \r\n": "❯ hello", "a\tb\x1b": `a b\u001b`, "  two \t": "  two", "\n": ""} {
		if got := inLine(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
