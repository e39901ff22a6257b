package spec

import (
	"strings"
	"testing"

	"github.com/AgentaaU/AaaU/pkg/argv"
)

func TestCheck(t *testing.T) {
	umask := func(m uint32) *uint32 { return &m }
	for want, s := range map[string]Session{
		"": {
			Profile: "claude", Args: []string{"--resume"}, Env: []string{"A=b=c", "_x1="}, Umask: umask(0o77), Cwd: "/home/a b",
			Dirs: []Dir{{Lock: []string{".git/config", "a\nb"}, Alias: "/home/x/y"}, {ReadOnly: true}},
		},
		"no setup step":        {Step: "login2"},
		"takes the place":      {Argv: []string{"id"}, Args: []string{"-u"}},
		"takes the place of":   {Argv: []string{"id"}, Step: Login},
		"too long (longer":     {Argv: []string{strings.Repeat("x", MaxArgv), "y"}},
		"environment is too":   {Env: []string{"A=" + strings.Repeat("x", MaxEnv)}},
		"NAME=value":           {Env: []string{"A"}},
		"is not of the form":   {Env: []string{"1A=x"}},
		"\"A B\" is not of":    {Env: []string{"A B=x"}},
		"no umask":             {Umask: umask(0o1000)},
		"not an absolute":      {Cwd: "x"},
		"129 directories":      {Dirs: make([]Dir, MaxDirs+1)},
		"paths to protect":     {Dirs: []Dir{{Lock: repeat("a", MaxLocks/2+1)}, {Lock: repeat("b", MaxLocks/2)}}},
		"501 paths":            {Dirs: []Dir{{Lock: repeat("a", MaxLocks+1)}}},
		"2 paths to protect":   {Dirs: []Dir{{Lock: argv.Argv{strings.Repeat("x", MaxLock), "y"}}}},
		"\"../x\"":             {Dirs: []Dir{{Lock: []string{"../x"}}}},
		"\"/x\"":               {Dirs: []Dir{{Lock: []string{"/x"}}}},
		"\".\"":                {Dirs: []Dir{{Lock: []string{"."}}}},
		"\"a/../b\"":           {Dirs: []Dir{{Lock: []string{"a/../b"}}}},
		"\"\"":                 {Dirs: []Dir{{Lock: []string{""}}}},
		"another name":         {Dirs: []Dir{{Alias: "x/y"}}},
		"another name for a":   {Dirs: []Dir{{Alias: "/"}}},
		"directory: \"/a/..\"": {Dirs: []Dir{{Alias: "/a/.."}}},
	} {
		err := s.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func repeat(name string, n int) (list argv.Argv) {
	for range n {
		list = append(list, name)
	}
	return list
}

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"a": true, "shot.png": true, "A_b-c.D.9": true, strings.Repeat("x", MaxFileName): true,
		"": false, strings.Repeat("x", MaxFileName+1): false,
		".": false, "..": false, ".bashrc": false, "-rf": false,
		"a/b": false, "/a": false, "../a": false, "a b": false, "a\n": false, "a\x00": false, "ä": false, "a$b": false, "a'": false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
