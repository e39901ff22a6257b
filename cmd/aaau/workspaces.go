package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/project"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// packWorkspaces opens the directories that the session works in (those that were
// named, or else the current one if the profile works there) and says where its
// program starts.
func (o *order) packWorkspaces(l *luggage, profile wire.ProfileReply) error {
	var named []string
	if o.dir != "" {
		if err := enter(o.dir); err != nil {
			return fmt.Errorf("-C: %w", err)
		}
		named = []string{"."}
	}
	named = append(named, o.workspaces...)
	implied := len(named) == 0 && profile.Workspace && !o.noWorkspace && o.Step == ""
	if implied {
		named = []string{"."}
	}
	for _, name := range named {
		if err := o.packWorkspace(l, name, implied); err != nil {
			return err
		}
	}
	if len(l.dirs) == 0 {
		return nil
	}
	here, err := os.Getwd()
	if err != nil {
		return currentDirectory(err)
	}
	real, err := filepath.EvalSymlinks(here)
	if err != nil {
		return currentDirectory(err)
	}
	o.Cwd = argv.String(l.dirs[0].Path)
	for _, d := range l.dirs {
		if isBelow(real, d.Path) {
			o.Cwd = argv.String(real)
		}
		if alias := l.aliases[d.Path]; alias != "" && isBelow(here, alias) {
			o.Cwd = argv.String(here)
			break
		}
	}
	return nil
}

func (o *order) packWorkspace(l *luggage, name string, implied bool) error {
	name, readOnly := strings.CutSuffix(name, ":ro")
	if name == "" {
		return errors.New("--workspace needs a directory")
	}
	name, err := filepath.Abs(name) // goes by $PWD, as the person does
	if err != nil {
		err = currentDirectory(err)
		if implied {
			err = fmt.Errorf("%w, or without a workspace: --no-workspace", err)
		}
		return err
	}
	d, err := project.Open(name)
	if err != nil {
		if implied {
			err = fmt.Errorf("%w; without a workspace: --no-workspace", err)
		}
		return err
	}
	if l.has(d.Path) {
		d.File.Close()
		return nil
	}
	d.ReadOnly = readOnly
	l.dirs = append(l.dirs, d)
	if name != d.Path {
		if l.aliases == nil {
			l.aliases = map[string]string{}
		}
		l.aliases[d.Path] = name
	}
	if what := tooMuch(d.Path); implied && what != "" {
		return fmt.Errorf("the current directory is %s: go into a project, or say so: --workspace %s, or --no-workspace", what, d.Path)
	}
	return nil
}

// currentDirectory says what is wrong with the current directory, and what to do.
func currentDirectory(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the directory that you are in has been removed: go to another (cd), then start again")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("you may not look into the directory that you are in, or one above it: go to one of yours (cd), then start again")
	}
	return fmt.Errorf("finding out which directory you are in: %w", err)
}

// enter goes to a directory and keeps its name, with the symbolic links in it.
func enter(dir string) error {
	name, err := filepath.Abs(dir)
	if err != nil {
		return currentDirectory(err)
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	return os.Setenv("PWD", name) // believed by os.Getwd only if it is true
}

func isBelow(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// tooMuch says what a directory is that nobody means to share in passing. The home
// is that of $HOME and that of the user database.
func tooMuch(path string) string {
	homes := []string{os.Getenv("HOME")}
	if u, err := user.Current(); err == nil {
		homes = append(homes, u.HomeDir)
	}
	for _, home := range homes {
		if real, err := filepath.EvalSymlinks(home); err == nil {
			home = real
		}
		switch {
		case home == "" || home == "/":
		case path == home:
			return "your home"
		case isBelow(home, path):
			return "above your home"
		}
	}
	return ""
}
