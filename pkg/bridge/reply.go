package bridge

import (
	"path/filepath"

	"github.com/AgentaaU/AaaU/pkg/argv"
	"github.com/AgentaaU/AaaU/pkg/auth"
	"github.com/AgentaaU/AaaU/pkg/scope"
	"github.com/AgentaaU/AaaU/pkg/session"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// reply is what a client hears of the session that it is now in.
func (b *Bridge) reply(l *live, role auth.Role, client uint64, offset int64) wire.OpenReply {
	memory, tasks := scope.Limits(l.Profile, l.Scope)
	r := wire.OpenReply{
		ID: l.ID, Name: l.name, Profile: l.Profile, Program: program(l.Argv), User: l.User,
		Owner: l.Owner.UID, Role: role.String(), Client: client, Began: seconds(l.Began), Offset: offset,
		Deadline: deadline(l.Info),
		Secrets:  l.Secrets, Watch: l.Watch, Private: l.Private, Pipes: l.Pipes, ErrorsApart: l.ErrorsApart,
		Limits: wire.Limits{Memory: memory, Tasks: tasks, Home: b.HomeMax, Missing: scope.Missing(l.Profile, l.Scope)},
		Record: "all",
	}
	if l.recording.NoInput {
		r.Record = "output, how much is typed"
	}
	room := maxPaths
	for _, d := range l.Dirs {
		if room -= len(d.Path); room >= 0 {
			r.Dirs = append(r.Dirs, d)
		}
	}
	return r
}

// maxPaths bounds the paths in one thing that is told to a client, in bytes: a frame
// must hold them. Who has longer ones is told of fewer.
const maxPaths = 32 << 10

// maxListed bounds the paths that a list of sessions tells of one, in bytes of JSON,
// which may be several times those of short odd names: a frame must hold a page.
const maxListed = 2 << 10

// bounded is as many paths as a list of sessions tells of one.
func bounded(paths []string) argv.Argv {
	out, room := argv.Argv{}, maxListed
	for _, p := range paths {
		text, err := argv.String(p).MarshalJSON()
		if room -= len(text) + len(","); err == nil && room >= 0 {
			out = append(out, p)
		}
	}
	return out
}

// program is the name of what a session runs, not longer than a name should be, and
// of characters that move no cursor.
func program(argv []string) string {
	return shown(filepath.Base(argv[0]), 64)
}

// workspaces are the person's directories that a session works in.
func workspaces(s session.Info) (paths []string) {
	for _, d := range s.Dirs {
		if !d.Tool {
			paths = append(paths, string(d.Path))
		}
	}
	return paths
}
