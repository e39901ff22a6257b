package project

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// harmless are the parts of a configuration that name no file, by section; "" is
// all of a section. They are what git init, clone and remote write.
var harmless = map[string][]string{
	"core": {"repositoryformatversion", "filemode", "bare", "logallrefupdates", "ignorecase", "precomposeunicode",
		"symlinks", "worktree", "autocrlf", "eol"},
	"branch": {""}, "user": {""}, "author": {""}, "committer": {""}, "push": {""}, "pull": {""}, "color": {""},
	"remote":    {"url", "pushurl", "fetch", "push", "tagopt"},
	"submodule": {"url", "active", "path", "branch", "ignore"},
	"init":      {"defaultbranch"},
}

// withoutGit goes on if no configuration has to be understood. It need not be
// clever: where git is used, there is git.
func (c *reader) withoutGit() error {
	files := globalFiles()
	if no := os.Getenv("GIT_CONFIG_NOSYSTEM"); no == "" || no == "0" || no == "false" {
		files = append(files, firstOf(os.Getenv("GIT_CONFIG_SYSTEM"), "/etc/gitconfig"))
	}
	for _, file := range files {
		c.want("", file)
	}
	for _, s := range c.todo {
		if line, ok := plain(s.file); !ok {
			return fmt.Errorf("%s cannot be understood without git (%s): install git", shown(s.file), shown(line))
		}
	}
	return nil
}

// plain says whether a file has nothing but what is harmless; if not, where.
func plain(file string) (line string, ok bool) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not make us wait
	if err != nil {
		return err.Error(), false
	}
	defer f.Close()
	names := []string(nil)
	in := bufio.NewScanner(f)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			head, rest, ok := strings.Cut(line[1:], "]")
			section, _, _ := strings.Cut(strings.ToLower(head), " ")
			if names = harmless[section]; !ok || names == nil || rest != "" {
				return line, false
			}
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		known := false
		for _, n := range names {
			known = known || n == "" || n == name
		}
		if !known || strings.HasSuffix(line, `\`) || strings.Contains(strings.ReplaceAll(value, `"`, ""), "ext::") {
			return line, false
		}
	}
	if err := in.Err(); err != nil {
		return err.Error(), false
	}
	return "", true
}
