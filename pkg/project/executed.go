package project

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// executed are the names of what editors, shells, git, package managers and coding agents
// run or obey when a person starts them, or merely opens or enters a directory. Of
// directories, all in them counts.
var executed = slices.Concat(
	// projects
	[]string{
		".vscode", ".idea", ".cursor", ".zed", ".devcontainer", ".mcp.json",
		".envrc", ".direnv", ".tool-versions", "mise.toml", ".mise.toml",
		".githooks", ".husky", ".gitmodules", ".gitattributes", ".pre-commit-config.yaml", "lefthook.yml", ".lefthook.yml",
		"rust-toolchain", "rust-toolchain.toml", ".cargo", ".yarnrc", ".yarnrc.yml", ".npmrc", ".pnpmfile.cjs", "bunfig.toml", ".bunfig.toml",
		"pip.conf", ".pypirc", ".condarc", ".gemrc", ".bazelrc", "ansible.cfg", ".ansible.cfg", ".mvn",
		".exrc", ".nvimrc", ".nvim.lua", ".dir-locals.el", ".gdbinit", ".lldbinit", ".helix", "*.code-workspace",
		"eslint.config.*", ".eslintrc.*js", "prettier.config.*", ".prettierrc.*js",
		"*.pth", "sitecustomize.py", "usercustomize.py",
	},
	// coding agents
	[]string{
		"CLAUDE.md", "CLAUDE.local.md", ".claude", ".claude.json", "AGENTS.md", "AGENTS.override.md", ".agents", ".codex", "GEMINI.md", ".gemini",
		".opencode", "opencode.json", "opencode.jsonc", ".cursorrules", ".windsurf", ".windsurfrules", ".clinerules", ".roo", ".roomodes", ".continue",
		".aider.conf.yml", ".amazonq", ".kiro", ".junie", "mcp.json", "mcp_config.json", "copilot-instructions.md",
	},
	// shells and logins
	[]string{
		".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases", ".bashrc.d", ".profile", ".inputrc",
		".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".zsh", ".oh-my-zsh", ".kshrc", ".mkshrc", ".cshrc", ".tcshrc", ".login", ".logout",
		".xonshrc", ".pam_environment", ".xprofile", ".xsession", ".xsessionrc", ".xinitrc", ".tmux.conf", ".screenrc", ".wezterm.lua",
		".ssh", ".crontab", "crontab", "cron.d", "cron.hourly", "cron.daily", "cron.weekly", "cron.monthly",
	},
	// editors and other programs with a configuration that runs something
	[]string{
		".vimrc", ".gvimrc", ".vim", ".ideavimrc", ".emacs", ".emacs.d", ".doom.d", ".spacemacs", ".nanorc", ".lessfilter", ".lesskey",
		".gitconfig", ".hgrc", ".mailcap", ".muttrc", ".psqlrc", ".sqliterc", ".Rprofile", ".Renviron", ".irbrc", ".pryrc", ".ghci", ".pdbrc",
		".curlrc", ".wgetrc", ".terraformrc", ".ipython",
	},
)

// executedAt are the same by the end of their path; "~/" is the person's home, and is there
// only.
var executedAt = slices.Concat(
	inConfig("fish", "zsh", "bash", "git", "hg", "jj", "direnv", "mise", "pip", "npm", "opencode", "mcp", "Claude",
		"autostart", "autostart-scripts", "plasma-workspace", "systemd", "environment.d", "user-tmpfiles.d", "cron",
		"i3", "sway", "hypr", "bspwm", "awesome", "openbox", "mimeapps.list",
		"nvim", "vim", "emacs", "doom", "helix", "zed", "nano", "Code/User", "VSCodium/User", "Cursor/User", "sublime-text",
		"kitty", "ghostty", "alacritty", "foot", "wezterm", "tmux", "zellij", "starship.toml", "lf", "ranger", "mutt"),
	[]string{
		".local/bin", ".local/share/applications", ".local/share/systemd", ".local/share/dbus-1", ".local/share/user-tmpfiles.d",
		".local/share/nautilus/scripts", ".local/share/mise/shims", ".local/share/pnpm", ".bun/bin", ".deno/bin", ".volta/bin", ".npm-global/bin",
		".pyenv/shims", ".asdf/shims", ".rbenv/shims", ".dotnet/tools",
		".github/workflows", ".github/instructions", ".github/prompts", ".github/agents",
		".docker/config.json", ".docker/cli-plugins", ".kube/config", ".aws/config", ".gnupg/gpg.conf", ".gnupg/gpg-agent.conf",
		".gradle/init.gradle", ".gradle/init.d", ".gradle/gradle.properties", ".m2/settings.xml", ".pip/pip.conf", ".bundle/config",
		"~/bin", "~/go/bin", "~/.cargo/bin",
		"~/.ssh", "~/.vim", "~/.emacs.d", "~/.zsh", "~/.oh-my-zsh", "~/.bashrc.d", // also where they are shared themselves
	},
)

func inConfig(names ...string) (paths []string) {
	for _, name := range names {
		paths = append(paths, ".config/"+name)
	}
	return paths
}

// watched says which names count.
type watched struct {
	names    map[string]bool
	patterns []string
	ends     map[string][]string // by the last name of a path, what its directory ends with
}

func newWatched(more []string) (w watched, err error) {
	w = watched{names: map[string]bool{}, ends: map[string][]string{}}
	for _, name := range slices.Concat(executed, more) {
		if !strings.ContainsAny(name, `*?[\`) {
			w.names[name] = true
			continue
		}
		if _, err := path.Match(name, ""); err != nil {
			return w, fmt.Errorf("looking for changes of %q: %w", name, err)
		}
		w.patterns = append(w.patterns, name)
	}
	home := realHome()
	for _, end := range executedAt {
		dir, name := path.Dir(end), path.Base(end)
		if below, ok := strings.CutPrefix(dir+"/", "~/"); ok {
			if home == "" {
				continue
			}
			dir = path.Join(home, below)
		}
		w.ends[name] = append(w.ends[name], dir)
	}
	return w, nil
}

// realHome is the person's home without symbolic links; empty if there is none.
func realHome() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	if home, err = filepath.EvalSymlinks(home); err != nil || home == "/" {
		return ""
	}
	return home
}

// is says whether a name counts that is in a directory, of which top and rel are the path.
func (w *watched) is(top, rel string, name []byte) bool {
	if w.names[string(name)] {
		return true
	}
	if ends := w.ends[string(name)]; len(ends) > 0 && w.isPath(ends, path.Join(top, rel)) {
		return true
	}
	return slices.ContainsFunc(w.patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, string(name)) // newWatched has tried it
		return ok
	})
}

func (w *watched) isPath(ends []string, dir string) bool {
	return slices.ContainsFunc(ends, func(end string) bool {
		return dir == end || !path.IsAbs(end) && strings.HasSuffix(dir, "/"+end)
	})
}

// around says whether a directory is one of executedAt, or in one: all in it counts.
func (w *watched) around(dir string) bool {
	for ; dir != "/" && dir != "."; dir = path.Dir(dir) {
		if w.isPath(w.ends[path.Base(dir)], path.Dir(dir)) {
			return true
		}
	}
	return false
}
