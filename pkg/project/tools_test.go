package project

import (
	"os"
	"strings"
	"testing"
)

func TestTools(t *testing.T) {
	for name, c := range map[string]struct {
		make    func(t *testing.T, h string)
		environ []string // ~ is the home
		dirs    []string
		env     []string // NAME=~ alone leads into the agent's home
	}{
		"none": {func(t *testing.T, h string) {}, []string{"PATH=/usr/bin:~/bin"}, nil, []string{"PATH=/usr/bin"}},
		"nvm": {
			func(t *testing.T, h string) {
				write(t, h+"/.nvm/versions/node/v20/bin/node", "")
				write(t, h+"/.nvm/.cache/x", "")
			},
			[]string{"PATH=~/bin:~/.nvm/versions/node/v20/bin:/usr/bin:~/.nvm/versions/node/v20/bin/../bin:.nvm"},
			[]string{"~/.nvm/versions/node"},
			[]string{"NVM_DIR=~/.nvm", "PATH=~/.nvm/versions/node/v20/bin:/usr/bin"},
		},
		"npm of nvm": {
			func(t *testing.T, h string) { write(t, h+"/.nvm/versions/node/v20/bin/npm", "") },
			[]string{"PATH=~/.nvm/versions/node/v20/bin"},
			[]string{"~/.nvm/versions/node"},
			[]string{"NPM_CONFIG_PREFIX", "NVM_DIR=~/.nvm", "PATH=~/.nvm/versions/node/v20/bin"},
		},
		"node of fnm, by the link of one shell": {
			func(t *testing.T, h string) {
				write(t, h+"/.local/share/fnm/node-versions/v20/installation/bin/node", "")
				write(t, h+"/.local/share/fnm/node-versions/v22/installation/etc/npmrc", "")
				write(t, h+"/.local/share/fnm/node-versions/v22/installation/bin/node", "")
				symlink(t, h+"/.local/share/fnm/node-versions/v20/installation", h+"/.local/state/fnm_multishells/1_2")
			},
			[]string{"PATH=~/.local/state/fnm_multishells/1_2/bin"},
			[]string{"~/.local/share/fnm/node-versions/v20/installation", "~/.local/share/fnm/node-versions/v22/installation/bin"},
			[]string{"PATH=~/.local/share/fnm/node-versions/v20/installation/bin"},
		},
		"volta, without its shims": {
			func(t *testing.T, h string) {
				write(t, h+"/.volta/bin/node", "")
				write(t, h+"/.volta/hooks.json", "")
				write(t, h+"/.volta/tools/user/platform.json", `{"node":{"runtime":"22.1.0","npm":null},"pnpm":"9.0.0"}`)
				write(t, h+"/.volta/tools/image/node/22.1.0/bin/node", "")
				write(t, h+"/.volta/tools/image/node/20.0.0/bin/node", "")
				write(t, h+"/.volta/tools/image/pnpm/9.0.0/bin/pnpm", "")
				write(t, h+"/.volta/tools/image/packages/tsx/bin/tsx", "")
			},
			[]string{"PATH=/usr/bin:~/.volta/bin"},
			[]string{"~/.volta/tools/image/node", "~/.volta/tools/image/packages", "~/.volta/tools/image/pnpm"},
			[]string{"PATH=/usr/bin:~/.volta/tools/image/node/22.1.0/bin:~/.volta/tools/image/pnpm/9.0.0/bin:~/.volta/tools/image/packages/tsx/bin", "PNPM_HOME"},
		},
		"bun, deno and pnpm": {
			func(t *testing.T, h string) {
				write(t, h+"/.bun/bin/bun", "")
				write(t, h+"/.bun/install/cache/x", "")
				write(t, h+"/.bun/install/global/node_modules/x/cli.js", "")
				write(t, h+"/.deno/bin/deno", "")
				write(t, h+"/.local/share/pnpm/pnpm", "")
				write(t, h+"/.config/pnpm/rc", "")
			},
			[]string{"BUN_INSTALL=~/.bun", "PNPM_HOME=~/.local/share/pnpm", "PATH=~/.bun/bin:~/.deno/bin:~/.local/share/pnpm"},
			[]string{"~/.bun/bin", "~/.bun/install/global", "~/.deno/bin", "~/.local/share/pnpm"},
			[]string{"PATH=~/.bun/bin:~/.deno/bin:~/.local/share/pnpm", "PNPM_HOME"},
		},
		"pnpm in what holds more": {
			func(t *testing.T, h string) { mkdir(t, h+"/.local/share/keyrings") },
			[]string{"PNPM_HOME=~/.local/share", "PATH=~/.local/share"}, nil, nil,
		},
		"conda, without its tokens": {
			func(t *testing.T, h string) {
				write(t, h+"/miniconda3/bin/conda", "")
				write(t, h+"/miniconda3/.condarc", "")
				write(t, h+"/miniconda3/etc/conda/x", "")
				write(t, h+"/miniconda3/pkgs/x/y", "")
				write(t, h+"/miniconda3/envs/a/bin/python", "")
				write(t, h+"/miniconda3/envs/b/bin/python", "")
				write(t, h+"/miniconda3/envs/b/pip.conf", "")
			},
			[]string{"PATH=~/miniconda3/envs/a/bin:~/miniconda3/bin:~/miniconda3/condabin"},
			[]string{"~/miniconda3/bin", "~/miniconda3/envs/a", "~/miniconda3/envs/b/bin"},
			[]string{"PATH=~/miniconda3/envs/a/bin:~/miniconda3/bin"},
		},
		"rbenv": {
			func(t *testing.T, h string) {
				write(t, h+"/.rbenv/shims/gem", "")
				write(t, h+"/.rbenv/version", "3.3.0")
				write(t, h+"/.rbenv/versions/3.3.0/bin/gem", "")
				write(t, h+"/.gem/credentials", "")
			},
			[]string{"PATH=~/.rbenv/shims:/usr/bin"},
			[]string{"~/.rbenv/shims", "~/.rbenv/versions"},
			[]string{"GEM_HOME", "PATH=~/.rbenv/shims:~/.rbenv/versions/3.3.0/bin:/usr/bin", "RBENV_ROOT=~/.rbenv"},
		},
		"rvm": {
			func(t *testing.T, h string) {
				write(t, h+"/.rvm/rubies/ruby-3/bin/ruby", "")
				write(t, h+"/.rvm/gems/ruby-3/bin/rails", "")
				write(t, h+"/.rvm/user/db", "")
			},
			[]string{"PATH=~/.rvm/gems/ruby-3/bin:~/.rvm/rubies/ruby-3/bin"},
			[]string{"~/.rvm/gems", "~/.rvm/rubies"},
			[]string{"PATH=~/.rvm/gems/ruby-3/bin:~/.rvm/rubies/ruby-3/bin"},
		},
		"SDKMAN, without Maven's passwords": {
			func(t *testing.T, h string) {
				write(t, h+"/.sdkman/candidates/java/21/bin/java", "")
				write(t, h+"/.sdkman/candidates/java/21/conf/security/x", "")
				write(t, h+"/.sdkman/candidates/maven/3/bin/mvn", "")
				write(t, h+"/.sdkman/candidates/maven/3/conf/settings.xml", "")
				symlink(t, "21", h+"/.sdkman/candidates/java/current")
			},
			[]string{"PATH=~/.sdkman/candidates/java/current/bin:~/.sdkman/candidates/maven/3/bin"},
			[]string{"~/.sdkman/candidates/java/21", "~/.sdkman/candidates/maven/3/bin"},
			[]string{"PATH=~/.sdkman/candidates/java/21/bin:~/.sdkman/candidates/maven/3/bin"},
		},
		"Julia, without its launcher": {
			func(t *testing.T, h string) {
				write(t, h+"/.juliaup/bin/julia", "")
				write(t, h+"/.julia/servers/x/auth.toml", "")
				write(t, h+"/.julia/juliaup/julia-1.11/bin/julia", "")
				write(t, h+"/.julia/juliaup/juliaup.json", `{"Default":"release","InstalledVersions":{"1.11.1":{"Path":"./julia-1.11"}},"InstalledChannels":{"release":{"Version":"1.11.1"}}}`)
			},
			[]string{"PATH=~/.juliaup/bin"},
			[]string{"~/.julia/juliaup/julia-1.11"},
			[]string{"PATH=~/.julia/juliaup/julia-1.11/bin"},
		},
		"composer, .NET, krew, ghcup and flutter": {
			func(t *testing.T, h string) {
				write(t, h+"/.config/composer/vendor/bin/x", "")
				write(t, h+"/.config/composer/auth.json", "")
				write(t, h+"/.dotnet/tools/x", "")
				write(t, h+"/.dotnet/corefx/cryptography/x509stores/my/x.pfx", "")
				write(t, h+"/.krew/bin/x", "")
				write(t, h+"/.krew/store/x/y", "")
				write(t, h+"/.ghcup/bin/ghc", "")
				write(t, h+"/.ghcup/ghc/9/bin/ghc", "")
				write(t, h+"/flutter/bin/flutter", "")
				write(t, h+"/flutter/.git/config", "")
			},
			[]string{"PATH=~/.config/composer/vendor/bin:~/.dotnet/tools:~/.krew/bin:~/.ghcup/bin:~/flutter/bin"},
			[]string{"~/.config/composer/vendor", "~/.dotnet/tools", "~/.ghcup/bin", "~/.ghcup/ghc", "~/.krew/bin", "~/.krew/store", "~/flutter/bin"},
			[]string{"PATH=~/.config/composer/vendor/bin:~/.dotnet/tools:~/.krew/bin:~/.ghcup/bin:~/flutter/bin"},
		},
		"~/.local/bin, and what its links lead to": {
			func(t *testing.T, h string) {
				write(t, h+"/.local/bin/uv", "")
				write(t, h+"/.local/share/pipx/venvs/black/bin/black", "")
				write(t, h+"/.local/share/pipx/logs/x", "")
				write(t, h+"/.local/pipx/venvs/tox/bin/tox", "")
				symlink(t, h+"/.local/share/pipx/venvs/black/bin/black", h+"/.local/bin/black")
				mkdir(t, h+"/.local/lib/python3.12/site-packages")
				mkdir(t, h+"/.local/share/keyrings")
			},
			[]string{"PATH=~/.local/bin:~/scripts"},
			[]string{"~/.local/bin", "~/.local/pipx/venvs", "~/.local/share/pipx/venvs"},
			[]string{"PATH=~/.local/bin"},
		},
		"nvm with a token": {
			func(t *testing.T, h string) {
				write(t, h+"/.nvm/versions/node/v20/bin/node", "")
				write(t, h+"/.nvm/versions/node/v20/lib/x", "")
				write(t, h+"/.nvm/versions/node/v20/etc/npmrc", "")
				write(t, h+"/.nvm/versions/node/v22/bin/node", "")
			},
			[]string{"PATH=~/.nvm/versions/node/v20/bin"},
			[]string{"~/.nvm/versions/node/v20/bin", "~/.nvm/versions/node/v20/lib", "~/.nvm/versions/node/v22"},
			[]string{"NVM_DIR=~/.nvm", "PATH=~/.nvm/versions/node/v20/bin"},
		},
		"nvm elsewhere, by a link": {
			func(t *testing.T, h string) {
				write(t, h+"/disk/nvm/versions/node/v20/bin/node", "")
				symlink(t, "../disk/nvm", h+"/.config/nvm")
				symlink(t, "versions/node/v20", h+"/disk/nvm/current")
				write(t, h+"/.nvm/versions/node/old/bin/node", "")
			},
			[]string{"NVM_DIR=~/.config/nvm", "PATH=~/.config/nvm/current/bin"},
			[]string{"~/disk/nvm/versions/node"},
			[]string{"NVM_DIR=~/disk/nvm", "PATH=~/disk/nvm/versions/node/v20/bin"},
		},
		"nvm for the whole machine": {
			func(t *testing.T, h string) { write(t, h+"/.nvm/versions/node/old/bin/node", "") },
			[]string{"NVM_DIR=/usr"}, nil, nil,
		},
		"cargo and go, without what is theirs": {
			func(t *testing.T, h string) {
				write(t, h+"/.cargo/bin/cargo", "")
				write(t, h+"/.cargo/credentials.toml", "")
				write(t, h+"/.rustup/settings.toml", "")
				write(t, h+"/gopath/bin/gopls", "")
				mkdir(t, h+"/gopath/pkg/mod")
				write(t, h+"/sdk/go1.26.1/bin/go", "")
				mkdir(t, h+"/sdk/android")
			},
			[]string{"GOPATH=~/gopath:/other", "PATH=~/gopath/bin:~/.cargo/bin:~/.cargo"},
			[]string{"~/.cargo/bin", "~/.rustup", "~/gopath/bin", "~/sdk/go1.26.1"},
			[]string{"PATH=~/gopath/bin:~/.cargo/bin", "RUSTUP_HOME=~/.rustup"},
		},
		"pyenv and uv": {
			func(t *testing.T, h string) {
				write(t, h+"/.pyenv/shims/python", "")
				write(t, h+"/.pyenv/libexec/pyenv", "")
				write(t, h+"/.pyenv/cache/x", "")
				write(t, h+"/.pyenv/version", "3.12.1\n")
				write(t, h+"/.pyenv/versions/3.12.1/bin/python", "")
				write(t, h+"/.local/share/uv/python/cpython-3.13/bin/python", "")
				write(t, h+"/.local/share/uv/tools/ruff/bin/ruff", "")
				write(t, h+"/.local/share/uv/credentials/x", "")
			},
			[]string{"PATH=~/.pyenv/shims"},
			[]string{"~/.local/share/uv/python", "~/.local/share/uv/tools", "~/.pyenv/libexec", "~/.pyenv/shims", "~/.pyenv/versions"},
			[]string{"PATH=~/.pyenv/shims:~/.pyenv/versions/3.12.1/bin", "PYENV_ROOT=~/.pyenv",
				"UV_PYTHON_INSTALL_DIR=~/.local/share/uv/python"},
		},
		"mise and asdf": {
			func(t *testing.T, h string) {
				write(t, h+"/.local/share/mise/installs/node/20/bin/node", "")
				write(t, h+"/.local/share/mise/downloads/x", "")
				write(t, h+"/.asdf/installs/node/20/bin/node", "")
				write(t, h+"/.asdf/installs/node/20/.npmrc", "")
				write(t, h+"/.asdf/bin/asdf", "")
			},
			[]string{"PATH=~/.asdf/installs/node/20/bin"},
			[]string{"~/.asdf/bin", "~/.asdf/installs/node/20/bin", "~/.local/share/mise/installs"},
			[]string{"ASDF_DATA_DIR=~/.asdf", "ASDF_DIR=~/.asdf", "MISE_DATA_DIR=~/.local/share/mise", "PATH=~/.asdf/installs/node/20/bin"},
		},
		"brew, without its configuration and data": {
			func(t *testing.T, h string) {
				for _, name := range []string{"bin", "Cellar", "etc/nginx", "etc/ca-certificates", "var/postgres"} {
					mkdir(t, h+"/.linuxbrew/"+name)
				}
			},
			nil,
			[]string{"~/.linuxbrew/Cellar", "~/.linuxbrew/bin", "~/.linuxbrew/etc/ca-certificates"},
			[]string{"HOMEBREW_PREFIX=~/.linuxbrew"},
		},
		"not the person's": {
			func(t *testing.T, h string) {
				if err := os.Chown(mkdir(t, h+"/.rustup"), 65534, 65534); err != nil {
					t.Fatal(err)
				}
			},
			nil, nil, nil,
		},
		"the home for a tool": {
			func(t *testing.T, h string) { symlink(t, ".", h+"/.rustup"); symlink(t, "..", h+"/.cargo") },
			[]string{"RUSTUP_HOME=~", "PYENV_ROOT=/"}, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := home(t)
			c.make(t, h)
			full := func(lines []string) (out []string) {
				for _, line := range lines {
					out = append(out, strings.ReplaceAll(line, "~", h))
				}
				return out
			}
			box := Tools(h, full(c.environ))
			env := append(box.Env, box.InHome...)
			var got []string
			for _, d := range box.Dirs {
				got = append(got, d.Path)
				if !d.ReadOnly || !d.Tool || len(d.Lock) > 0 {
					t.Errorf("%+v", d)
				}
				d.File.Close()
			}
			sorted := func(s []string) []string { return strings.Split(strings.Join(s, "\n"), "\n") }
			got, env = sorted(got), sorted(env)
			sortAll(got, env)
			same(t, "directories", got, sorted(full(c.dirs))...)
			same(t, "environment", env, sorted(full(c.env))...)
		})
	}
}

func TestPathLeftOut(t *testing.T) {
	h := home(t)
	for _, dir := range []string{"/scripts", "/bin", "/.cargo/bin"} {
		mkdir(t, h+dir)
	}
	write(t, h+"/file", "")
	environ := []string{"PATH=" + strings.Join([]string{h + "/bin/", "/usr/bin", h + "/none", h + "/.cargo/bin", h + "/scripts", h + "/bin", h + "/file", "bin", "/usr/sbin"}, ":")}
	box := Tools(h, environ)
	for _, d := range box.Dirs {
		d.File.Close()
	}
	same(t, "left out", box.LeftOut, h+"/bin", h+"/scripts")
	same(t, "environment", box.Env, "PATH=/usr/bin:"+h+"/.cargo/bin:/usr/sbin")
	box = MachinePath(h, environ)
	same(t, "environment without tools", box.Env, "PATH=/usr/bin:/usr/sbin")
	if len(box.Dirs)+len(box.LeftOut)+len(box.InHome) > 0 {
		t.Errorf("without tools it is %+v", box)
	}
}
