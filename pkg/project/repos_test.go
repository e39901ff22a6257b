package project

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A mount in a workspace is not entered, and told of.
func TestMountWithin(t *testing.T) {
	h := home(t)
	ws := mkdir(t, h+"/ws")
	repo(t, ws+"/mnt/hidden")
	done := make(chan error)
	var notes notes
	var found []string
	go func() {
		// The thread ends with the goroutine, and the mount with it.
		runtime.LockOSThread()
		done <- func() error {
			if err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS),
				unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
				unix.Mount(h, ws+"/mnt", "", unix.MS_BIND, "")); err != nil {
				return err
			}
			f, err := os.Open(ws)
			if err != nil {
				return err
			}
			defer f.Close()
			r := &repos{notes: &notes, dirs: map[string]*gitDir{}}
			err = r.scan(t.Context(), &Dir{File: f, Path: ws})
			for _, g := range r.all() {
				found = append(found, g.path)
			}
			return err
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	same(t, "repositories", found)
	same(t, "notes", notes.lines, ws+"/mnt is a mount of its own, which the agent does not see")
}

func TestUnreadable(t *testing.T) {
	h := home(t)
	theirs := mkdir(t, h+"/theirs")
	if err := os.Chown(theirs, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		err  error
		want string
	}{
		"the person's":    {h, unix.EACCES, h + " cannot be read, so no repository in it is protected: chmod u+rx it"},
		"another's":       {theirs, unix.EACCES, ""},
		"gone":            {h + "/x", unix.ENOENT, ""},
		"replaced":        {h, unix.ELOOP, ""},
		"something else":  {h, unix.EIO, h + " cannot be looked into, so no repository in it is protected: input/output error"},
		"deeper than git": {h, unix.ENAMETOOLONG, h + " cannot be looked into, so no repository in it is protected: file name too long"},
	} {
		r := &repos{notes: &notes{}}
		r.unreadable(c.path, c.err)
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		same(t, name, r.notes.lines, want...)
	}
}
