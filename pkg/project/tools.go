package project

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// A tool is a manager of programs that keeps them in the person's home.
type tool struct {
	at       string   // beneath the home
	variable string   // says where it is instead
	export   string   // the variable by which its programs find it
	parts    []string // what is taken: these, as far as they exist
	prefixes []string // and of these patterns, what is no configuration
	// shims is the directory beneath it that the person has on PATH, and behind returns the
	// directories of the programs that it leads to. They follow it on PATH, or stand in for it
	// where the shims are not taken.
	shims  string
	behind func(root string) []string
	// named must be in the name of a directory that is taken whole, since a variable may name
	// one in which other things are kept too.
	named string
}

// tools are what is taken along. All else of a home is not: caches, keys,
// configuration, scripts. Each entry takes the narrowest directories with which its programs
// run; where that is not the obvious one, the line says why.
var tools = []tool{
	// Node.
	{at: ".nvm", variable: "NVM_DIR", export: "NVM_DIR", prefixes: []string{"versions/node/*"}},
	{at: ".local/share/fnm", variable: "FNM_DIR", prefixes: []string{"node-versions/*/installation"}},
	{at: ".fnm", prefixes: []string{"node-versions/*/installation"}}, // of older versions
	// Volta's shims want to write to its root, which has hooks.json: what they lead to is taken.
	{at: ".volta", variable: "VOLTA_HOME", shims: "bin", behind: voltaDefault,
		prefixes: []string{"tools/image/node/*", "tools/image/npm/*", "tools/image/yarn/*", "tools/image/pnpm/*", "tools/image/packages/*"}},
	{at: ".bun", variable: "BUN_INSTALL", parts: []string{"bin", "install/global"}}, // bin has links into install/global
	{at: ".deno", variable: "DENO_INSTALL_ROOT", parts: []string{"bin"}},
	{at: ".local/share/pnpm", variable: "PNPM_HOME", parts: []string{"."}, named: "pnpm"}, // its programs lie at the root; tokens are in ~/.config/pnpm

	// Python. Of ~/.local/share/uv not all, since credentials are there; pip.conf may be in any prefix.
	{at: ".pyenv", variable: "PYENV_ROOT", export: "PYENV_ROOT", shims: "shims", behind: versionFile,
		parts: []string{"bin", "libexec", "shims", "plugins", "pyenv.d"}, prefixes: []string{"versions/*"}},
	{at: ".local/share/uv/python", variable: "UV_PYTHON_INSTALL_DIR", export: "UV_PYTHON_INSTALL_DIR", prefixes: []string{"*"}},
	// UV_TOOL_DIR is not exported, so that the agent can install tools of its own.
	{at: ".local/share/uv/tools", variable: "UV_TOOL_DIR", prefixes: []string{"*"}},
	{at: ".local/share/pipx", variable: "PIPX_HOME", parts: []string{"shared"}, prefixes: []string{"venvs/*"}},
	{at: ".local/pipx", parts: []string{"shared"}, prefixes: []string{"venvs/*"}}, // of older versions
	{at: "miniconda3", parts: conda, prefixes: condaEnvs},
	{at: "anaconda3", parts: conda, prefixes: condaEnvs},
	{at: "miniforge3", parts: conda, prefixes: condaEnvs},
	{at: "mambaforge", parts: conda, prefixes: condaEnvs},
	{at: "micromamba", variable: "MAMBA_ROOT_PREFIX", parts: conda, prefixes: condaEnvs},
	{at: ".conda", prefixes: condaEnvs},

	// Ruby. Keys of rubygems.org are in ~/.gem and ~/.local/share/gem, which are not taken.
	{at: ".rbenv", variable: "RBENV_ROOT", export: "RBENV_ROOT", shims: "shims", behind: versionFile,
		parts: []string{"bin", "libexec", "shims", "plugins", "rbenv.d"}, prefixes: []string{"versions/*"}},
	{at: ".rvm", variable: "rvm_path", parts: []string{"bin", "environments", "wrappers"}, prefixes: []string{"rubies/*", "gems/*"}},

	// Rust, Go. ~/.cargo itself has credentials.toml; a GOPATH has people's sources.
	{at: ".rustup", variable: "RUSTUP_HOME", export: "RUSTUP_HOME", parts: []string{"."}, named: "rust"},
	{at: ".cargo", variable: "CARGO_HOME", parts: []string{"bin"}},
	{at: "go", variable: "GOPATH", parts: []string{"bin"}},
	{at: "sdk", prefixes: []string{"go[0-9]*", "gotip"}},

	// Others' languages.
	{at: ".sdkman", variable: "SDKMAN_DIR", prefixes: []string{"candidates/*/*"}}, // not Maven's conf/settings.xml, see private
	{at: ".ghcup", parts: []string{"bin"}, prefixes: []string{"ghc/*", "hls/*"}},  // bin has links to the others
	// juliaup's launcher wants to write to its root; ~/.julia has tokens of servers.
	{at: ".julia/juliaup", prefixes: []string{"julia-*"}, shims: "../../.juliaup/bin", behind: juliaDefault},
	{at: "flutter", variable: "FLUTTER_ROOT", parts: []string{"bin", "packages"}},                      // .git has the address that it was cloned from
	{at: ".config/composer", variable: "COMPOSER_HOME", parts: []string{"vendor"}},                     // auth.json is beside it
	{at: ".composer", parts: []string{"vendor"}},                                                       // of older versions
	{at: ".dotnet", parts: []string{"tools"}},                                                          // private keys are in .dotnet/corefx
	{at: ".dotnet", variable: "DOTNET_ROOT", export: "DOTNET_ROOT", parts: []string{"host", "shared"}}, // with which its tools run

	// Any language.
	{at: ".local/share/mise", variable: "MISE_DATA_DIR", export: "MISE_DATA_DIR",
		parts: []string{"shims", "plugins"}, prefixes: []string{"installs/*/*"}},
	{at: ".asdf", variable: "ASDF_DATA_DIR", export: "ASDF_DATA_DIR",
		parts: []string{"bin", "lib", "shims", "plugins"}, prefixes: []string{"installs/*/*"}},
	{at: ".krew", variable: "KREW_ROOT", parts: []string{"bin", "store"}}, // bin has links into store
	{at: ".linuxbrew", export: "HOMEBREW_PREFIX", parts: brew},
	{at: "/home/linuxbrew/.linuxbrew", export: "HOMEBREW_PREFIX", parts: brew},
	// Programs that installers and people put there, and links to the tools above and to npm's of a prefix ~/.local.
	{at: ".local", parts: []string{"bin", "lib/node_modules"}},
}

// brew is Homebrew's without etc and var, where what it installs keeps its
// configuration and its data; but its CA certificates.
var brew = []string{"bin", "sbin", "lib", "libexec", "include", "share", "opt", "Cellar", "Homebrew", "etc/ca-certificates"}

// conda is an installation of conda or mamba without etc and the root itself, where .condarc
// and tokens may be, and without the cache of packages.
var conda = []string{"bin", "condabin", "lib", "libexec", "include", "share", "ssl", "conda-meta", "compiler_compat"}

var condaEnvs = []string{"envs/*"}

// private are files in a program's own directory that hold what is nobody else's:
// npm, pip, conda, gem, Maven and Gradle keep registries and tokens there.
var private = []string{"etc/npmrc", ".npmrc", "pip.conf", "etc/pip.conf", ".cache", ".condarc", "condarc", "etc/gemrc", mavens, "gradle.properties"}

// mavens is Maven's. Java has a conf, too, and needs it.
const mavens = "conf/settings.xml"

// maxBehind bounds how many programs' directories follow one of shims.
const maxBehind = 32

// versionFile returns where pyenv's and rbenv's own version file, which is not taken along,
// says that the programs are: without it, their shims look along the PATH.
func versionFile(root string) (dirs []string) {
	text, err := readSmall(filepath.Join(root, "version"))
	if err != nil {
		return nil
	}
	for _, version := range strings.Fields(text) {
		dirs = append(dirs, filepath.Join(root, "versions", version, "bin"))
	}
	return dirs
}

// voltaDefault returns the directories of the person's default Node and of what was installed
// for it.
func voltaDefault(root string) (dirs []string) {
	var platform struct {
		Node struct{ Runtime, Npm string }
		Yarn string
		Pnpm string
	}
	if text, err := readSmall(filepath.Join(root, "tools/user/platform.json")); err != nil || json.Unmarshal([]byte(text), &platform) != nil {
		return nil
	}
	for _, image := range [][2]string{{"npm", platform.Node.Npm}, {"node", platform.Node.Runtime}, {"yarn", platform.Yarn}, {"pnpm", platform.Pnpm}} {
		if image[1] != "" {
			dirs = append(dirs, filepath.Join(root, "tools/image", image[0], image[1], "bin"))
		}
	}
	packages, _ := filepath.Glob(filepath.Join(quoteGlob(root), "tools/image/packages/*/bin")) // the pattern is right
	return append(dirs, packages...)
}

// juliaDefault returns the directory of the person's default Julia.
func juliaDefault(root string) []string {
	var juliaup struct {
		Default           string
		InstalledVersions map[string]struct{ Path string }
		InstalledChannels map[string]struct{ Version string }
	}
	text, err := readSmall(filepath.Join(root, "juliaup.json"))
	if err != nil || json.Unmarshal([]byte(text), &juliaup) != nil {
		return nil
	}
	path := juliaup.InstalledVersions[juliaup.InstalledChannels[juliaup.Default].Version].Path
	if path == "" {
		return nil
	}
	return []string{filepath.Join(root, path, "bin")}
}

// inHome are variables by which a program installs into the agent's home instead of its own
// directory. The launcher knows the home: it takes "~" for the right place in it.
var inHome = map[string]string{"npm": "NPM_CONFIG_PREFIX", "pnpm": "PNPM_HOME", "gem": "GEM_HOME"}

// Toolbox is what a session takes along to find programs.
type Toolbox struct {
	Dirs   []Dir    // to be read only; the caller closes the files
	Env    []string // the variables by which programs are found, PATH among them
	InHome []string // names of those variables that are to lead into the agent's home
	// LeftOut are directories of the person's PATH that the session has not.
	LeftOut []string
}

// Tools returns the directories of the person's tools that are there and theirs, to be read
// only, and the variables by which programs find them. Of PATH stays what lies in them or is
// the machine's (searchpath.Machine).
//
// Everything goes by its real name, since the session has no symbolic link that
// stands elsewhere in the home.
func Tools(home string, environ []string) Toolbox {
	t, box := taken{home: home, behind: map[string][]string{}}, Toolbox{}
	for _, tool := range tools {
		for _, root := range tool.roots(home, environ) {
			real, err := filepath.EvalSymlinks(root)
			if err != nil || !t.fit(real) || !t.take(tool, real) {
				continue
			}
			if tool.behind != nil {
				t.behind[filepath.Join(real, tool.shims)] = tool.behind(real)
			}
			if tool.export == "" {
				continue
			}
			box.Env = append(box.Env, tool.export+"="+real)
			if tool.export == "ASDF_DATA_DIR" && exists(filepath.Join(real, "bin")) {
				box.Env = append(box.Env, "ASDF_DIR="+real) // before 0.16 it is where asdf itself is, too
			}
		}
	}
	path := t.path(variable(environ, "PATH"))
	box.Dirs, box.LeftOut = t.dirs, t.leftOut
	box.addPath(path)
	for _, program := range []string{"npm", "pnpm", "gem"} {
		if t.isTool(program, path) {
			box.InHome = append(box.InHome, inHome[program])
		}
	}
	return box
}

// MachinePath returns what of the person's PATH is the machine's, for a session that sees no
// tools of theirs.
func MachinePath(home string, environ []string) Toolbox {
	t, box := taken{home: home}, Toolbox{}
	box.addPath(t.path(variable(environ, "PATH")))
	return box
}

func (b *Toolbox) addPath(path []string) {
	if len(path) > 0 {
		b.Env = append(b.Env, "PATH="+strings.Join(path, ":"))
	}
}

// variable is the first of that name.
func variable(environ []string, name string) string {
	for _, kv := range environ {
		if v, ok := cutVariable(kv, name); ok {
			return v
		}
	}
	return ""
}

// roots are where a tool may be.
func (t tool) roots(home string, environ []string) []string {
	if t.variable != "" {
		if v := variable(environ, t.variable); v != "" {
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

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
