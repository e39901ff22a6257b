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
		env     []string
	}{
		"none": {func(t *testing.T, h string) {}, []string{"PATH=/usr/bin:~/bin"}, nil, nil},
		"nvm": {
			func(t *testing.T, h string) {
				write(t, h+"/.nvm/versions/node/v20/bin/node", "")
				write(t, h+"/.nvm/.cache/x", "")
			},
			[]string{"PATH=~/bin:~/.nvm/versions/node/v20/bin:/usr/bin:~/.nvm/versions/node/v20/bin/../bin:.nvm"},
			[]string{"~/.nvm/versions/node"},
			[]string{"NVM_DIR=~/.nvm", "PATH=~/.nvm/versions/node/v20/bin"},
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
				"UV_PYTHON_INSTALL_DIR=~/.local/share/uv/python", "UV_TOOL_DIR=~/.local/share/uv/tools"},
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
			dirs, env := Tools(h, full(c.environ))
			var got []string
			for _, d := range dirs {
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
