package launcher

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/config"
	"github.com/AgentaaU/AaaU/pkg/privsep"
	"github.com/AgentaaU/AaaU/pkg/searchpath"
	"github.com/AgentaaU/AaaU/pkg/spec"
)

// travels lists the variables of the person's that any session may have: what
// their terminal, their language and their network are like, and who they are to
// git. Whatever else a profile must name.
var travels = map[string]bool{
	"COLORTERM": true, "TERM_PROGRAM": true, "TERM_PROGRAM_VERSION": true,
	"NO_COLOR": true, "FORCE_COLOR": true, "CLICOLOR": true, "CLICOLOR_FORCE": true,
	"LANGUAGE": true, "TZ": true,
	"http_proxy": true, "https_proxy": true, "ftp_proxy": true, "all_proxy": true, "no_proxy": true,
	"HTTP_PROXY": true, "HTTPS_PROXY": true, "FTP_PROXY": true, "ALL_PROXY": true, "NO_PROXY": true,
	"SSL_CERT_FILE": true, "SSL_CERT_DIR": true, "CURL_CA_BUNDLE": true, "REQUESTS_CA_BUNDLE": true,
	"NODE_EXTRA_CA_CERTS": true, "GIT_SSL_CAINFO": true, "GIT_SSL_CAPATH": true, "AWS_CA_BUNDLE": true, "PIP_CERT": true,
	"GIT_AUTHOR_NAME": true, "GIT_AUTHOR_EMAIL": true, "GIT_COMMITTER_NAME": true, "GIT_COMMITTER_EMAIL": true,
}

// ofTools lists those that tools are found by.
var ofTools = map[string]bool{
	"NVM_DIR": true, "PYENV_ROOT": true, "RUSTUP_HOME": true, "ASDF_DIR": true, "ASDF_DATA_DIR": true,
	"MISE_DATA_DIR": true, "UV_PYTHON_INSTALL_DIR": true, "UV_TOOL_DIR": true, "HOMEBREW_PREFIX": true,
	"RBENV_ROOT": true, "DOTNET_ROOT": true,
}

// inHome are the places in the agent's home into which programs of the person's tools install,
// by the variable that leads there. The client asks for one with the value "~".
var inHome = map[string]string{
	"NPM_CONFIG_PREFIX": ".local", "PNPM_HOME": ".local/share/pnpm", "GEM_HOME": ".local/share/gem",
}

// binDirs are where programs lie in the agent's home, as far as it has any: those that it or
// its person installs come before all others.
var binDirs = []string{".local/bin", "bin", ".cargo/bin", "go/bin", ".bun/bin", ".deno/bin",
	".local/share/pnpm", ".local/share/pnpm/bin", ".local/share/gem/bin", ".dotnet/tools"}

// systemPath is what is on every PATH, after the person's entries.
var systemPath = []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"}

// environment is the program's, whole: nothing of the launcher's is inherited.
// Secrets are the names of the variables that the client named, and of those that
// come from credentials.
func (l *Launcher) environment(cfg config.Config, profile config.Profile, agent account, asked spec.Session, dirs []dir) (env, secrets []string, err error) {
	term, lang, path := "", "C.UTF-8", ""
	tools := profile.TakesTools(slices.ContainsFunc(dirs, func(d dir) bool { return !d.Tool }))
	for _, e := range asked.Env {
		name, value, _ := strings.Cut(e, "=")
		switch {
		case name == "TERM":
			term = value
		case name == "PATH":
			path = value
		case name == "LANG" && isName(value):
			lang = value
		case name == "LANG":
		case strings.HasPrefix(name, "LC_"):
			if isName(value) {
				env = append(env, e)
			}
		case tools && value == "~" && inHome[name] != "":
			env = append(env, name+"="+agent.home+"/"+inHome[name])
		case travels[name], tools && ofTools[name], strings.HasPrefix(name, "GIT_CONFIG_"):
			env = append(env, e)
		case slices.Contains(profile.Env, name):
			env = append(env, e)
			secrets = append(secrets, name)
		default:
			return nil, nil, privsep.Errorf("refused", "profile %s does not take %s: env= in its file lists what it takes", profile.Name, name)
		}
	}
	for _, c := range profile.Credentials {
		value, err := credential(c)
		if err != nil {
			return nil, nil, privsep.Errorf("credential-missing", "profile %s: %v", profile.Name, err)
		}
		env = append(env, c.Variable+"="+value)
		secrets = append(secrets, c.Variable)
	}
	if term = knownTerminal(term); term == "dumb" || asked.Pipes {
		term = "dumb"
		env = append(env, "PAGER=cat") // there is nobody who could turn pages
	}
	home := agent.home
	var search []string
	for _, dir := range binDirs {
		search = append(search, home+"/"+dir)
	}
	if !profile.NoTools {
		hide := append([]string{home}, cfg.Hidden...)
		search = append(search, ofTheirs(path, dirs, hide)...)
	}
	for _, dir := range systemPath {
		if !slices.Contains(search, dir) {
			search = append(search, dir)
		}
	}
	return append(env,
		"HOME="+home,
		"USER="+agent.name,
		"LOGNAME="+agent.name,
		"SHELL="+cfg.Shell,
		"PATH="+strings.Join(search, ":"),
		"TERM="+term,
		"LANG="+lang,
	), secrets, nil
}

// maxSearch bounds how many entries of a person's PATH are looked at.
const maxSearch = 128

// ofTheirs returns what of the person's search path lies beneath their tools or is the machine's.
func ofTheirs(path string, dirs []dir, hide []string) (search []string) {
	entries := filepath.SplitList(path)
	for _, p := range entries[:min(len(entries), maxSearch)] {
		isTool := filepath.Clean(p) == p &&
			slices.ContainsFunc(dirs, func(d dir) bool { return d.Tool && isBelow(p, d.path) })
		if !isTool {
			real, ok := searchpath.Machine(p, hide)
			if !ok {
				continue
			}
			p = real
		}
		if !slices.Contains(search, p) {
			search = append(search, p)
		}
	}
	return search
}

// maxCredential bounds a credential, in bytes.
const maxCredential = 16 << 10

// credential reads one of the launcher's own (systemd.exec(5), LoadCredential=).
func credential(c config.Credential) (string, error) {
	const advice = "sudo systemctl edit aaau-launcher, [Service] LoadCredential=%s:/FILE, then sudo systemctl restart aaau-launcher"
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	f, err := os.Open(filepath.Join(dir, c.Name))
	if dir == "" || errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the launcher has no credential %s: "+advice, c.Name, c.Name)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	if err != nil {
		return "", err
	}
	value := strings.TrimSuffix(string(text), "\n")
	if len(value) > maxCredential || strings.ContainsAny(value, "\x00\n") {
		return "", fmt.Errorf("credential %s is not one line of at most %d bytes", c.Name, maxCredential)
	}
	return value, nil
}

// terminals is where terminfo(5) is, as ncurses looks for it.
var terminals = []string{"/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"}

// knownTerminal is a terminal type that programs on this machine know: the asked
// one, or what most terminals can pass for.
func knownTerminal(term string) string {
	if !isName(term) {
		return "dumb"
	}
	for _, dir := range terminals {
		for _, sub := range []string{term[:1], fmt.Sprintf("%02x", term[0])} {
			if _, err := os.Stat(filepath.Join(dir, sub, term)); err == nil {
				return term
			}
		}
	}
	if term == "dumb" {
		return term
	}
	return "xterm-256color"
}

// isName says whether a string is what a terminal or a locale may be called;
// anything else is as if the client had said nothing.
func isName(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return len(s) > 0 && len(s) <= 64 && strings.IndexByte(letters, s[0]) >= 0 && strings.Trim(s, letters+"._+@-") == ""
}
