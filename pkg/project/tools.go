package project

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A tool is a manager of programs, that keeps them in the person's home.
type tool struct {
	at       string   // beneath the home
	variable string   // says where it is instead
	export   string   // the variable by which its programs find it
	parts    []string // what is taken: these, as far as they exist
	prefixes []string // and of these patterns, what is no configuration
}

// tools are what is taken along. All else of a home is not: caches, keys,
// configuration, scripts.
var tools = []tool{
	{at: ".nvm", variable: "NVM_DIR", export: "NVM_DIR", prefixes: []string{"versions/node/*"}},
	{at: ".pyenv", variable: "PYENV_ROOT", export: "PYENV_ROOT",
		parts: []string{"bin", "libexec", "shims", "plugins", "pyenv.d"}, prefixes: []string{"versions/*"}},
	// Not uv's whole directory: it keeps credentials there too.
	{at: ".local/share/uv/python", variable: "UV_PYTHON_INSTALL_DIR", export: "UV_PYTHON_INSTALL_DIR", prefixes: []string{"*"}},
	{at: ".local/share/uv/tools", variable: "UV_TOOL_DIR", export: "UV_TOOL_DIR", prefixes: []string{"*"}},
	{at: ".rustup", variable: "RUSTUP_HOME", export: "RUSTUP_HOME", parts: []string{"."}},
	{at: ".cargo", variable: "CARGO_HOME", parts: []string{"bin"}},
	{at: "go", variable: "GOPATH", parts: []string{"bin"}},
	{at: "sdk", prefixes: []string{"go[0-9]*", "gotip"}},
	{at: ".local/share/mise", variable: "MISE_DATA_DIR", export: "MISE_DATA_DIR",
		parts: []string{"shims", "plugins"}, prefixes: []string{"installs/*/*"}},
	{at: ".asdf", variable: "ASDF_DATA_DIR", export: "ASDF_DATA_DIR",
		parts: []string{"bin", "lib", "shims", "plugins"}, prefixes: []string{"installs/*/*"}},
	{at: ".linuxbrew", export: "HOMEBREW_PREFIX", parts: brew},
	{at: "/home/linuxbrew/.linuxbrew", export: "HOMEBREW_PREFIX", parts: brew},
}

// brew is Homebrew's without etc and var, where what it installs keeps its
// configuration and its data; but its CA certificates.
var brew = []string{"bin", "sbin", "lib", "libexec", "include", "share", "opt", "Cellar", "Homebrew", "etc/ca-certificates"}

// private are files in a program's own directory that hold what is nobody else's:
// npm and pip keep registries and tokens there.
var private = []string{"etc/npmrc", ".npmrc", "pip.conf", "etc/pip.conf", ".cache"}

// Tools returns the directories of the person's tools that are there and theirs,
// to be read only, and the variables by which programs find them. PATH is the
// person's, of these directories only.
//
// Everything goes by its real name, since the session has no symbolic link that
// stands elsewhere in the home. The caller closes the files.
func Tools(home string, environ []string) (dirs []Dir, env []string) {
	t := taken{home: home}
	get := func(name string) string {
		for _, kv := range environ {
			if v, ok := cutVariable(kv, name); ok {
				return v
			}
		}
		return ""
	}
	for _, tool := range tools {
		for _, root := range tool.roots(home, get) {
			real, err := filepath.EvalSymlinks(root)
			if err != nil || !t.fit(real) || !t.take(tool, real) || tool.export == "" {
				continue
			}
			env = append(env, tool.export+"="+real)
			if tool.export == "ASDF_DATA_DIR" && exists(filepath.Join(real, "bin")) {
				env = append(env, "ASDF_DIR="+real) // before 0.16 it is where asdf itself is, too
			}
		}
	}
	if path := t.path(get("PATH") + pyenvGlobal(env)); path != "" {
		env = append(env, "PATH="+path)
	}
	return t.dirs, env
}

// roots are where a tool may be.
func (t tool) roots(home string, get func(string) string) []string {
	if t.variable != "" {
		if v := get(t.variable); v != "" {
			var roots []string
			for _, root := range filepath.SplitList(v) { // GOPATH is a list
				if _, ok := under(filepath.Clean(home), filepath.Clean(root)); ok && filepath.IsAbs(root) {
					roots = append(roots, filepath.Clean(root))
				}
			}
			return roots // elsewhere than in the home, the session has it or not
		}
	}
	if filepath.IsAbs(t.at) {
		return []string{t.at}
	}
	return []string{filepath.Join(home, t.at)}
}

// taken collects directories.
type taken struct {
	home string
	dirs []Dir
}

// fit refuses to take the home, or something around it, for a tool's.
func (t *taken) fit(real string) bool {
	home, err := filepath.EvalSymlinks(t.home)
	if err != nil {
		return false
	}
	_, around := under(real, home)
	return !around
}

// take takes what there is of a tool; there may be nothing.
func (t *taken) take(tool tool, root string) bool {
	some := false
	for _, part := range tool.parts {
		some = t.open(filepath.Join(root, part)) || some
	}
	for _, pattern := range tool.prefixes {
		some = t.prefixes(root, pattern) || some
	}
	return some
}

// prefixes takes directories with a program each. If none has anything private,
// and the pattern takes all there is, they are one: the part before the pattern.
func (t *taken) prefixes(root, pattern string) bool {
	parent, _, all := strings.Cut("/"+pattern, "/*")
	parent = filepath.Join(root, parent)
	found, err := filepath.Glob(filepath.Join(quoteGlob(root), pattern))
	if err != nil {
		return false
	}
	if all && !slices.ContainsFunc(found, hasPrivate) && !hasPrivate(parent) {
		return len(found) > 0 && t.open(parent)
	}
	some := false
	for _, prefix := range found {
		fi, err := os.Lstat(prefix)
		if err != nil || !fi.IsDir() { // "latest" is a symbolic link to another of them
			continue
		}
		if !hasPrivate(prefix) {
			some = t.open(prefix) || some
			continue
		}
		parts, _ := os.ReadDir(prefix) // as far as it can be read
		for _, part := range parts {
			if name := part.Name(); part.IsDir() && name[0] != '.' && name != "etc" && name != "var" {
				some = t.open(filepath.Join(prefix, name)) || some
			}
		}
	}
	return some
}

func quoteGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

func hasPrivate(prefix string) bool {
	return slices.ContainsFunc(private, func(name string) bool { return exists(filepath.Join(prefix, name)) })
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// open takes one directory, if it is the person's, and not taken yet.
func (t *taken) open(name string) bool {
	d, err := Open(name)
	if err != nil {
		return false
	}
	if !t.fit(d.Path) {
		d.File.Close()
		return false
	}
	if t.has(d.Path) {
		d.File.Close()
		return true
	}
	d.ReadOnly, d.Tool = true, true
	t.dirs = append(t.dirs, d)
	return true
}

func (t *taken) has(name string) bool {
	return slices.ContainsFunc(t.dirs, func(d Dir) bool { _, ok := under(d.Path, name); return ok })
}

// pyenvGlobal is where pyenv's own version file, which is not taken along, says that
// the programs are: without it, pyenv goes on along the PATH.
func pyenvGlobal(env []string) (path string) {
	for _, kv := range env {
		root, ok := cutVariable(kv, "PYENV_ROOT")
		if !ok {
			continue
		}
		text, err := readSmall(filepath.Join(root, "version"))
		if err != nil {
			return ""
		}
		for _, version := range strings.Fields(text) {
			path += ":" + filepath.Join(root, "versions", version, "bin")
		}
	}
	return path
}

// path is what of a PATH lies in what was taken.
func (t *taken) path(value string) string {
	var out []string
	for _, entry := range filepath.SplitList(value) {
		if !filepath.IsAbs(entry) {
			continue
		}
		real, err := filepath.EvalSymlinks(entry)
		if err == nil && t.has(real) && !strings.Contains(real, ":") && !slices.Contains(out, real) {
			out = append(out, real)
		}
	}
	return strings.Join(out, ":")
}
