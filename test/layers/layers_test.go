// Package layers holds the architecture to what docs/architecture.md says of it.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/AgentaaU/AaaU/"

// layers are the packages from top to bottom: each imports only from layers
// below its own.
var layers = [][]string{
	// What is for tests only is above everything, so that nothing that runs can import it.
	{"pkg/bridge/bridgetest"},
	{"cmd/aaau", "cmd/aaau-server", "cmd/aaau-launcher", "pkg/auth/authtest", "pkg/privsep/privseptest"},
	{"pkg/bridge", "pkg/launcher", "pkg/client"},
	{"pkg/session", "pkg/stage", "pkg/render"},
	{"pkg/tape", "pkg/fdstore", "pkg/screen", "pkg/scope", "pkg/audit", "pkg/journal", "pkg/config", "pkg/project", "pkg/workspace", "pkg/gitcopy", "pkg/gitland"},
	{"pkg/wire", "pkg/privsep", "pkg/auth"},
	{"pkg/peer", "pkg/version", "pkg/spec", "pkg/vtseq", "pkg/anchor"},
	{"pkg/argv", "pkg/gitindex", "pkg/searchpath", "pkg/suggest", "pkg/shebang"},
}

// forbidden lists what a package must never reach, directly or through others.
var forbidden = map[string][]string{
	"cmd/aaau-launcher": {module + "pkg/wire", module + "pkg/session", module + "pkg/bridge", module + "pkg/client", module + "pkg/tape", module + "pkg/screen", module + "pkg/vtseq", "github.com/urfave/cli/v2"},
	"pkg/stage":         {module + "pkg/config", module + "pkg/scope", "github.com/godbus/dbus/v5"},
	"pkg/project":       {module + "pkg/privsep", module + "pkg/config"},
	"cmd/aaau":          {module + "pkg/workspace", module + "pkg/bridge", module + "pkg/launcher", module + "pkg/session", module + "pkg/config", module + "pkg/privsep", module + "pkg/tape", module + "pkg/peer", module + "pkg/scope"},
}

// keepers are the only packages that may import a library themselves.
var keepers = map[string][]string{
	"github.com/godbus/dbus/v5":                   {"pkg/scope"},
	"github.com/coreos/go-systemd/v22/activation": {"cmd/aaau-server", "cmd/aaau-launcher"},
	"github.com/coreos/go-systemd/v22/daemon":     {"cmd/aaau-server", "cmd/aaau-launcher"},
	"github.com/coreos/go-systemd/v22/journal":    {"pkg/journal"},
	"github.com/urfave/cli/v2":                    {"cmd/aaau", "cmd/aaau-server"},
	"golang.org/x/term":                           {"cmd/aaau"},
	"github.com/kballard/go-shellquote":           {"cmd/aaau", "pkg/config"},
	"github.com/klauspost/compress/zstd":          {"pkg/audit"},
}

type listed struct {
	ImportPath    string
	Imports, Deps []string
}

func list(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"cmd/...", module+"pkg/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module)] = p
	}
}

func TestLayersPointDown(t *testing.T) {
	at := map[string]int{}
	for i, layer := range layers {
		for _, p := range layer {
			at[p] = i
		}
	}
	for name, p := range list(t) {
		mine, ok := at[name]
		if !ok {
			t.Errorf("%s is in no layer: give it a place here and in docs/architecture.md", name)
		}
		for _, imp := range p.Imports {
			if below, ours := strings.CutPrefix(imp, module); ours && at[below] <= mine {
				t.Errorf("%s imports %s, which is not below it", name, below)
			}
		}
	}
}

func TestForbiddenImports(t *testing.T) {
	packages := list(t)
	for name, list := range forbidden {
		if _, ok := packages[name]; !ok {
			t.Errorf("%s does not exist", name)
		}
		for _, f := range list {
			if slices.Contains(packages[name].Deps, f) {
				t.Errorf("%s depends on %s", name, f)
			}
		}
	}
	for name, p := range packages {
		for _, imp := range p.Imports {
			if k, ok := keepers[imp]; ok && !slices.Contains(k, name) {
				t.Errorf("%s imports %s, which is for %v", name, imp, k)
			}
		}
	}
}
